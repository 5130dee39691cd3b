"""The tables of test/promises: each promise names a test that holds it, and each test named there exists."""
import posixpath
import re

from checks.tree import Violation

TABLES = "test/promises/"
GTEST = re.compile(r"(?:\w+/)?(\w+)\.(\w+|\*)(?:/\w+)?")
PYTEST = re.compile(r"([\w./-]*\w\.py)::(?:(\w+)::)?(\w+)(?:\[[^\]]*\])?")
GTEST_MACRO = re.compile(r"\b(?:TYPED_)?TEST(?:_[FP])?\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)")
PYTHON_DEF = re.compile(r"^(?:class (\w+)|( *)(?:async )?def (\w+))", re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")
DIVIDER = re.compile(r"\|[\s:|-]+\|")


def gtests(tree):
    """suite -> names of its tests."""
    found = {}
    for path in tree.paths:
        if path.endswith("_test.cc"):
            for suite, name in GTEST_MACRO.findall(tree.text(path)):
                found.setdefault(suite, set()).add(name)
    return found


def functions(text):
    """(class or "", name) of each function of a Python file."""
    inside, found = "", set()
    for kind, indent, name in PYTHON_DEF.findall(text):
        if kind:
            inside = kind
        else:
            inside = inside if indent else ""
            found.add((inside, name))
    return found


class Tests:
    """The tests of a tree, by the names that the tables use."""

    def __init__(self, tree):
        self.tree = tree
        self.suites = gtests(tree)
        self.files = [path for path in tree.paths if path.endswith(".py")]

    def lacks(self, name):
        """What is wrong with a name in backticks: None when it is no test's name, "" when it exists."""
        match = PYTEST.fullmatch(name)
        if match:
            return self.lacks_pytest(*match.groups())
        match = GTEST.fullmatch(name)
        if match and match[1][:1].isupper() and (match[2] == "*" or match[2][:1].isupper()):
            return self.lacks_gtest(match[1], match[2])
        if name.startswith(("src/", "test/", "tools/", "bench/")):
            there = self.tree.exists(name) or any(path.startswith(name.rstrip("/") + "/") for path in self.tree.paths)
            return "" if there else "is not in the tree"
        return None

    def lacks_gtest(self, suite, name):
        if suite not in self.suites:
            return f"names a suite that no *_test.cc has ({suite})"
        if name != "*" and name not in self.suites[suite]:
            return f"names a test that {suite} does not have"
        return ""

    def lacks_pytest(self, file, inside, name):
        paths = [path for path in self.files if path == file or path.endswith("/" + file)]
        if not paths:
            return f"names a file that is not there ({file})"
        for path in paths:
            known = functions(self.tree.text(path))
            if (inside, name) in known if inside else any(name == other for _, other in known):
                return ""
        return f"names a test that {posixpath.basename(file)} does not have"


def run(tree):
    tables = [path for path in tree.paths if path.startswith(TABLES) and path.endswith(".md") and not path.endswith("/README.md")]
    if not tables:
        return
    tests = Tests(tree)
    for path in tables:
        for number, line in tree.lines(path):
            yield from check_line(tests, path, number, line)


def check_line(tests, path, number, line):
    row = line.startswith("|") and not DIVIDER.fullmatch(line.strip()) and "held by" not in line
    named = 0
    for name in CODE.findall(line.rsplit("|", 2)[-2] if row and line.count("|") > 2 else line):
        wrong = tests.lacks(name)
        if wrong:
            yield Violation(path, number, f"`{name}` {wrong}", "a promise is held by a test that runs", "correct the name")
        named += wrong is not None
    if row and named == 0:
        yield Violation(path, number, "a promise names no test", "a promise is held by a test that runs",
                        "name one in backticks: `Suite.Name`, `file.py::test_name`, or a path")
