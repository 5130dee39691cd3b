#!/usr/bin/env python3
"""Instructions of the parts of a request that src/wire and src/core do, counted one by one with callgrind.

    bench/micro/parts.py [--binary build/release/bench/micro/parts] [--rounds 500] [NAME ...]

Counts do not depend on the load of the machine, so this is what to look at before and after a change. What a whole
request spends, connection and kernel calls included, is told by bench/proxy/instructions.py.
"""
from __future__ import annotations

import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def count(binary: str, part: str, rounds: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
               "--toggle-collect=*infermesh::part_*", binary, part, str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or found is None:
        raise SystemExit(f"{part}: {done.stderr.strip().splitlines()[-1:]}")
    return int(found[1]) // rounds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=str(ROOT / "build/release/bench/micro/parts"))
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("parts", nargs="*", metavar="NAME")
    options = parser.parse_args()
    if not pathlib.Path(options.binary).exists():
        print(f"{options.binary} is not built, see bench/micro/README.md", file=sys.stderr)
        return 2
    every = subprocess.run([options.binary], capture_output=True, text=True, check=True).stdout.split()
    for part in options.parts or every:
        print(f"{part:15} {count(options.binary, part, options.rounds):10,}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
