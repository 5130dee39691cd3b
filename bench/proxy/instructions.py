#!/usr/bin/env python3
"""Where infermesh spends its instructions: user-space instructions a request by function, counted by callgrind.

    bench/proxy/instructions.py [--binary build/release/infermesh] [--case "1 KB"] [--policy expected_latency]
                                [--seconds 5] [--least 1.0]

Counts do not depend on the load of the machine, times do; so this is what to look at before and after a change.
The setup is that of run.py: four engines that answer at once, wrk as generator, one shard. Two lists: what a
function spends itself, and with all it calls. The kernel's part is not counted.
"""
from __future__ import annotations

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import run

LINE = re.compile(r"\s*([\d,]+) \(\s*([\d.]+)%\)\s+(.*)")


def parse(text: str, requests: int, least: float) -> list[tuple[int, float, str]]:
    """(instructions a request, percent, function) of callgrind_annotate's list, those of at least `least` percent."""
    rows = []
    for line in text.splitlines():
        match = LINE.match(line)
        if match and "<" != match[3][:1] and "*" != match[3][:1] and float(match[2]) >= least:
            name = re.sub(r"^\S*?/?(\w+\.\w+):|\[.*?\]$", "", match[3]).strip()
            rows.append((int(match[1].replace(",", "")) // requests, float(match[2]), name[:110]))
    return rows


def annotate(profile: pathlib.Path, *options: str) -> str:
    command = ["callgrind_annotate", "--auto=no", "--threshold=99", *options, str(profile)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def load(port: int, script: pathlib.Path, seconds: int) -> int:
    command = ["taskset", "-c", "0", "wrk", "-t1", "-c8", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}"]
    return run.requests_of(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def count(options: argparse.Namespace, folder: pathlib.Path) -> tuple[pathlib.Path, int]:
    ports = [run.free_port() for _ in range(4)]
    port = run.free_port()
    script = run.write_script(folder, run.CASES[options.case][0])
    profile = folder / "callgrind.out"
    engine = run.engines(folder, ports)
    plain = run.infermesh_command(options.binary, folder, ports, port, options.policy)
    at = plain.index(options.binary)  # after taskset, which hands its process on
    command = [*plain[:at], "valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={profile}",
               *plain[at:]]
    router = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        run.wait_http(f"http://127.0.0.1:{port}/v1/models", seconds=90, expect=b'"m"')
        load(port, script, 2)
        control = ["callgrind_control", "-i"]
        subprocess.run([*control, "on", str(router.pid)], check=True, capture_output=True)
        requests = load(port, script, options.seconds)
        subprocess.run([*control, "off", str(router.pid)], check=True, capture_output=True)
    finally:
        for process in (router, engine):
            process.terminate()
            process.wait()
    return profile, requests


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=str(run.ROOT / "build/release/infermesh"))
    parser.add_argument("--case", default="1 KB", choices=list(run.CASES))
    parser.add_argument("--policy", default="expected_latency")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--least", type=float, default=1.0, help="percent of the whole that a line must have")
    options = parser.parse_args()
    for tool in ("valgrind", "nginx", "wrk"):
        if shutil.which(tool) is None:
            print(f"{tool} is not installed: apt-get install {tool}", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory(prefix="infermesh-count-") as name:
        profile, requests = count(options, pathlib.Path(name))
        for title, flags in (("itself", ()), ("with what it calls", ("--inclusive=yes",))):
            rows = parse(annotate(profile, *flags), requests, options.least)
            print(f"\n{options.case}, {options.policy}, {requests} requests: instructions a request, {title}")
            for instructions, percent, function in rows:
                print(f"{instructions:10,} {percent:5.1f} %  {function}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
