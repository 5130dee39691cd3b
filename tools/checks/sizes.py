"""Sizes by ratchet: what is over a limit is listed in tools/sizes.json with its size, and may only shrink."""
import collections
import json
import re

from checks.tree import Violation, code_only, folder_of, is_test

LIST = "tools/sizes.json"
SOURCE_MAX, HEADER_MAX, TEST_MAX, FUNCTION_MAX, FOLDER_MAX = 400, 120, 800, 70, 25
NOT_FUNCTIONS = re.compile(r"^\s*(?:if|for|while|switch|catch|namespace|class|struct|union|enum|do|else|try|extern)\b")


def functions(text):
    """(name, first line, lines) of each function body: a brace after a parameter list, outside of another function."""
    code = code_only(text)
    code = re.sub(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", lambda m: re.sub(r"[^\n]", " ", m[0]), code, flags=re.MULTILINE)
    stack, inside, head_start, line = [], None, 0, 1
    for at, char in enumerate(code):
        if char == "\n":
            line += 1
        elif char == "{":
            name = None if inside else function_name(code[head_start:at])
            if name:
                lead = re.sub(r"^\s*(?:(?:public|private|protected)\s*:\s*)*", "", code[head_start:at])
                first = line - lead.count("\n")
                inside = (len(stack), name, first)
            stack.append(char)
            head_start = at + 1
        elif char == "}" and stack:
            stack.pop()
            if inside and inside[0] == len(stack):
                yield inside[1], inside[2], line - inside[2] + 1
                inside = None
            head_start = at + 1
        elif char == ";" and not inside:
            head_start = at + 1


def function_name(head):
    """The name before the first parameter list, when the text before a brace heads a function."""
    head = re.sub(r"\b(?:public|private|protected)\s*:", "", head)
    head = re.sub(r"^\s*(?:template\s*<[^{;]*?>\s*)+(?=[\w:\[])", "", head, flags=re.DOTALL)
    if NOT_FUNCTIONS.match(head) or "(" not in head or re.search(r"=\s*$", head) or re.search(r"\[[^\]]*\]\s*\(", head):
        return None
    match = re.search(r"([~\w:]+|operator\s*\S+?)\s*\(", head)
    return match[1] if match else None


def measure(tree):
    """(kind, key, path, line, size, limit) of everything that has a limit."""
    per_folder = collections.Counter()
    for path in tree.sources():
        lines = tree.text(path).count("\n")
        limit = TEST_MAX if is_test(path) else HEADER_MAX if path.endswith(".h") else SOURCE_MAX
        yield "files", path, path, 0, lines, limit
        worst = {}
        for name, first, size in functions(tree.text(path)):
            if size > FUNCTION_MAX and size > worst.get(name, (0, 0))[1]:
                worst[name] = (first, size)
        for name, (first, size) in worst.items():
            yield "functions", f"{path}:{name}", path, first, size, FUNCTION_MAX
        if not is_test(path):
            per_folder["src/" + folder_of(path)] += 1
    for folder, count in sorted(per_folder.items()):
        yield "folders", folder, folder, 0, count, FOLDER_MAX


def known(tree):
    return json.loads(tree.text(LIST)) if tree.exists(LIST) else {}


def run(tree):
    listed = known(tree)
    seen = set()
    unit = {"files": "lines", "functions": "lines", "folders": "files"}
    for kind, key, path, line, size, limit in measure(tree):
        allowed = listed.get(kind, {}).get(key)
        if size <= limit:
            continue
        seen.add((kind, key))
        name = f"{key.rpartition(':')[2]}()" if kind == "functions" else kind[:-1]
        if allowed is None:
            yield Violation(path, line, f"{name} has {size} {unit[kind]}, the limit is {limit}",
                            "small pieces are read whole", "split it by what it does")
        elif size > allowed:
            yield Violation(path, line, f"{name} grew from {allowed} to {size} {unit[kind]}",
                            f"what is over the limit of {limit} may only shrink", "split it by what it does")
        elif size < allowed:
            yield Violation(path, line, f"{name} shrank from {allowed} to {size} {unit[kind]}", "the ratchet holds a gain",
                            "run tools/check.py --ratchet")
    for kind, entries in listed.items():
        for key in entries:
            if (kind, key) not in seen:
                yield Violation(LIST, 0, f"{key} is not over its limit any more", "the ratchet holds a gain",
                                "run tools/check.py --ratchet")


def accept(tree):
    """The list of everything that is over its limit now."""
    entries = {"files": {}, "folders": {}, "functions": {}}
    for kind, key, _, _, size, limit in measure(tree):
        if size > limit:
            entries[kind][key] = size
    return {kind: dict(sorted(found.items())) for kind, found in entries.items()}


def ratchet(tree):
    """The list with every gain taken: entries shrink or leave, none is added or raised."""
    listed = known(tree)
    now = {(kind, key): size for kind, key, _, _, size, limit in measure(tree) if size > limit}
    return {kind: {key: min(size, now[kind, key]) for key, size in sorted(entries.items()) if (kind, key) in now}
            for kind, entries in sorted(listed.items())}
