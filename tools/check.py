#!/usr/bin/python3
"""Holds the house rules: include arrows, purity, sizes, words, READMEs, format, generated files.

    tools/check.py            all rules; format only on changed files
    tools/check.py --all      format (and tidy) on every file
    tools/check.py --tidy     clang-tidy on every changed file, which is slow; without it on the latest two, where it is installed
    tools/check.py --ratchet  take what shrank out of tools/sizes.json
    tools/check.py --accept   list what is over a limit now with its size; say why in the commit

One line a violation: `path:line: what; why; what to do`. Exit 1 when there is any.
"""
import argparse
import json
import pathlib
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from checks import coroutines, folders, includes, programs, promises, purity, sizes, words  # noqa: E402
from checks.tree import Tree  # noqa: E402
import gen  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXT_RULES = (includes, purity, coroutines, sizes, folders, words, promises)


def violations(tree, args):
    for rule in TEXT_RULES:
        yield from rule.run(tree)
    yield from programs.generated_rule(gen.stale_files)
    yield from programs.format_rule(tree, args.all)
    if args.tidy:
        yield from programs.tidy_rule(tree, args.all)
    else:
        yield from programs.quick_tidy_rule(tree)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="format and tidy on every file, not only changed ones")
    parser.add_argument("--tidy", action="store_true", help="run clang-tidy with the compile database of build/dev")
    parser.add_argument("--ratchet", action="store_true", help="rewrite tools/sizes.json with every gain")
    parser.add_argument("--accept", action="store_true", help="list everything that is over a limit now")
    args = parser.parse_args()
    start = time.monotonic()
    tree = Tree.of_git(ROOT)
    if args.ratchet or args.accept:
        entries = sizes.accept(tree) if args.accept else sizes.ratchet(tree)
        (ROOT / sizes.LIST).write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
        return 0
    found = list(violations(tree, args))
    for violation in found:
        print(violation)
    took = time.monotonic() - start
    print(f"check: {len(tree.paths)} files, {len(found)} problem{'' if len(found) == 1 else 's'}, {took:.1f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
