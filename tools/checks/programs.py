"""Rules that other programs hold: clang-format, clang-tidy, the generators."""
import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess

from checks.tree import Violation

FORMAT, TIDY = "clang-format-19", "clang-tidy-19"


def chosen(tree, everything):
    return [path for under in ("src/", "test/", "bench/") for path in tree.sources(under)
            if everything or path in tree.changed]


def run_program(command, root):
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout + done.stderr


def missing(program):
    return Violation(program, 0, "is not installed", "a rule needs it", f"apt-get install {program}")


def format_rule(tree, everything):
    files = chosen(tree, everything)
    if not files:
        return
    output = run_program([FORMAT, "--dry-run", *files], tree.root)
    if output is None:
        yield missing(FORMAT)
        return
    seen = set()
    for match in re.finditer(r"^(\S+?):(\d+):\d+: (?:warning|error): .*clang-format", output, re.MULTILINE):
        if match[1] not in seen:
            seen.add(match[1])
            yield Violation(match[1], int(match[2]), "is not formatted", "clang-format decides spacing", "make fmt")


def generated_rule(stale_files):
    for path, _ in stale_files():
        yield Violation(path, 0, "is not what the schema says", "it is generated", "make gen")


def has_database(tree, database):
    return os.path.exists(os.path.join(tree.root, database, "compile_commands.json"))


def tidy_rule(tree, everything, database="build/dev"):
    """All of it, or what is changed: slow."""
    files = [path for path in chosen(tree, everything) if path.endswith(".cc")]
    if not files:
        return
    if not has_database(tree, database):
        yield Violation(database, 0, "no compile_commands.json", "clang-tidy needs it", "cmake --preset dev")
    elif shutil.which(TIDY) is None:
        yield missing(TIDY)
    else:
        yield from tidy(tree, files, database)


class CleanFiles:
    """Sources that clang-tidy had nothing to say of, by their content."""

    PATH = "build/tidy-clean.json"

    def __init__(self, tree):
        self.tree = tree
        self.file = tree.root / self.PATH
        self.known = json.loads(self.file.read_text()) if self.file.exists() else {}

    def mark(self, path):
        rules = self.tree.text(".clang-tidy") if self.tree.exists(".clang-tidy") else ""
        return hashlib.sha256((rules + self.tree.text(path)).encode()).hexdigest()

    def has(self, path):
        return self.known.get(path) == self.mark(path)

    def add(self, paths):
        self.known.update({path: self.mark(path) for path in paths})
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_text(json.dumps(self.known, indent=0, sort_keys=True))


def quick_tidy_rule(tree, most=2, database="build/dev"):
    """The latest changed sources that are not known to be clean, a few at a time; nothing where it cannot run."""
    if shutil.which(TIDY) is None or not has_database(tree, database):
        return
    clean = CleanFiles(tree)
    files = [path for path in tree.recent() if path.endswith(".cc") and path.startswith("src/") and not clean.has(path)]
    files = files[:most]
    if not files:
        return
    found = list(tidy(tree, files, database))
    clean.add(set(files) - {violation.path for violation in found})
    yield from found


def tidy(tree, files, database):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        output = "\n".join(pool.map(lambda path: run_program([TIDY, "-p", database, "--quiet", path], tree.root), files))
    found = re.findall(r"^(\S+?):(\d+):\d+: (?:warning|error): (.*) \[([\w.,-]+)\]$", output, re.MULTILINE)
    for path, line, message, rule in dict.fromkeys(found):
        if os.path.relpath(path, tree.root).startswith(".."):
            continue  # of a library, which nobody here can correct
        yield Violation(os.path.relpath(path, tree.root), int(line), message, f"clang-tidy {rule.split(',')[0]}",
                        "correct it")
