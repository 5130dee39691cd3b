"""Rules that other programs hold: clang-format, clang-tidy, the generators."""
import os
import re
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


def tidy_rule(tree, everything, database="build/dev"):
    files = [path for path in chosen(tree, everything) if path.endswith(".cc")]
    if not files:
        return
    if not os.path.exists(os.path.join(tree.root, database, "compile_commands.json")):
        yield Violation(database, 0, "no compile_commands.json", "clang-tidy needs it", "cmake --preset dev")
        return
    output = run_program([TIDY, "-p", database, "--quiet", *files], tree.root)
    if output is None:
        yield missing(TIDY)
        return
    found = re.findall(r"^(\S+?):(\d+):\d+: (?:warning|error): (.*) \[([\w.,-]+)\]$", output, re.MULTILINE)
    for path, line, message, rule in dict.fromkeys(found):
        yield Violation(os.path.relpath(path, tree.root), int(line), message, f"clang-tidy {rule.split(',')[0]}",
                        "correct it")
