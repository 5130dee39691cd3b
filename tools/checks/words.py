"""Marks, paths and hosts that do not belong into a committed text, and links that lead nowhere."""
import posixpath
import re

from checks.tree import Violation

# Spelt in pieces, so that this file does not hold what it looks for.
MARKS = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:wo" + r"rk|ro" + r"ot|home/[a-z][\w-]*|Users/\w+)/[\w.]")
HOSTS = re.compile(r"https?://[\w.-]*(?:artifactory|nexus|devpi|mirror|\.internal|\.corp)\b[\w./-]*")
ISSUES = re.compile(r"\b(?:[Ii]ssue|[Tt]icket) #?\d+\b")
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
TEXTS = (".h", ".cc", ".c", ".py", ".md", ".yaml", ".yml", ".cmake", ".txt", ".sh", ".json", ".toml", "Makefile")
FIXTURES = ("/testdata/", "test/fixtures/")

RULES = (
    (MARKS, "a mark for later", "what is committed is done, or it is filed", "do it, or take the mark out"),
    (MACHINE_PATHS, "a path of one machine", "it leads nowhere on another", "name it from the repository's root"),
    (HOSTS, "a host of one network", "nobody else can reach it", "leave the host to the user's configuration"),
    (ISSUES, "an issue's number", "a text explains itself", "say what it is about"),
)


def run(tree):
    for path in tree.paths:
        if not path.endswith(TEXTS) or any(part in path for part in FIXTURES) or path.endswith("LICENSE"):
            continue
        for number, line in tree.lines(path):
            for pattern, what, why, fix in RULES:
                match = pattern.search(line)
                if match:
                    yield Violation(path, number, f"{what} ({match[0]})", why, fix)
            if path.endswith(".md"):
                yield from links(tree, path, number, line)


def links(tree, path, number, line):
    for match in LINK.finditer(line):
        target = match[1]
        if "://" in target or target.startswith("mailto:"):
            continue
        full = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if not tree.exists(full) and not any(other.startswith(full + "/") for other in tree.paths):
            yield Violation(path, number, f"a link to {target}, which is not there", "readers follow links",
                            "correct it")
