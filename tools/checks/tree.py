"""The files under check, and small tools for reading C++ without parsing it."""
import dataclasses
import functools
import pathlib
import re
import subprocess


@dataclasses.dataclass(frozen=True)
class Violation:
    path: str
    line: int  # 0: the file or folder as a whole
    what: str
    why: str
    fix: str

    def __str__(self):
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.what}; {self.why}; {self.fix}"


class Tree:
    """Texts by path. Built from a git work tree, or from a dict by the tests."""

    def __init__(self, texts=None, root=None, paths=(), changed=()):
        self._texts = dict(texts or {})
        self.root = pathlib.Path(root) if root else None
        self.paths = sorted(set(paths) | set(self._texts))
        self.changed = set(changed)

    @staticmethod
    def of_git(root):
        def git(*args):
            out = subprocess.run(["git", "-C", str(root), *args], capture_output=True, text=True, check=True).stdout
            return [line for line in out.split("\0") if line]

        listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        paths = [path for path in listed if (pathlib.Path(root) / path).is_file()]
        changed = git("diff", "-z", "--name-only", "HEAD") + git("ls-files", "-z", "--others", "--exclude-standard")
        return Tree(root=root, paths=paths, changed=changed)

    def recent(self):
        """C++ sources by how lately they changed: not committed yet, then since the branch left origin/main, or by the last
        commit where there is no such branch."""
        changed = sorted(path for path in self.changed if self.exists(path) and ".gen." not in path)
        for since in ("origin/main..HEAD", "HEAD~1..HEAD"):
            command = ["git", "-C", str(self.root), "log", "--name-only", "--format=", since]
            log = subprocess.run(command, capture_output=True, text=True, check=False)
            if log.returncode == 0:
                break
        committed = [path for path in log.stdout.split() if self.exists(path) and ".gen." not in path]
        return list(dict.fromkeys(changed + committed))

    def text(self, path):
        if path not in self._texts:
            data = (self.root / path).read_bytes()
            self._texts[path] = "" if b"\0" in data else data.decode("utf-8", "replace")
        return self._texts[path]

    def lines(self, path):
        return enumerate(self.text(path).split("\n"), 1)

    def sources(self, under="src/"):
        """C++ files written by hand."""
        return [path for path in self.paths
                if path.startswith(under) and path.endswith((".h", ".cc")) and ".gen." not in path]

    def exists(self, path):
        return path in self._texts or path in self._path_set

    @functools.cached_property
    def _path_set(self):
        return set(self.paths)


def is_test(path):
    return path.endswith(("_test.cc", "_test.h", "_test.py")) or "/testdata/" in path


def folder_of(path):
    """The folder whose arrows a file follows; test data is its folder's."""
    return path.removeprefix("src/").rpartition("/")[0].removesuffix("/testdata")


_TOKENS = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"'
    r'|"(?:\\.|[^"\\\n])*"|(?<![0-9a-zA-Z_])\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)


def code_only(text):
    """The text with comments and literals blanked, line numbers kept. Quotes stay, so an include keeps its place."""

    def blank(match):
        token = match[0]
        if token.startswith(("//", "/*")):
            return re.sub(r"[^\n]", " ", token)
        return token[0] + re.sub(r"[^\n]", " ", token[1:-1]) + token[-1]

    return _TOKENS.sub(blank, text)
