#!/usr/bin/python3
"""Writes everything that is generated from api/schema. `make gen` must change nothing in a clean tree.

    tools/gen.py            write the files
    tools/gen.py --check    write nothing; exit 1 and name the files that would change
"""
import argparse
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from generate import GENERATORS  # noqa: E402
from generate.common import ROOT  # noqa: E402


def stale_files():
    """(path, text) of each generated file that is missing or differs."""
    for generator in GENERATORS:
        for path, text in generator():
            file = ROOT / path
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                yield path, text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a file would change")
    args = parser.parse_args()
    changed = list(stale_files())
    for path, text in changed:
        if not args.check:
            file = ROOT / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        print(("stale: " if args.check else "wrote: ") + path)
    return 1 if args.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
