#!/usr/bin/env python3
"""Where infermesh spends its instructions: user-space instructions a request by function, counted by callgrind.

    bench/proxy/instructions.py [--binary build/release/infermesh] [--case "1 KB"] [--policy expected_latency]
                                [--seconds 5] [--least 1.0]

Counts do not depend on the load of the machine, times do; so this is what to look at before and after a change.
The setup is that of run.py: four engines that answer at once, the same generator, one shard. Two lists: what a
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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import machine  # noqa: E402
from machine import Process, Tools  # noqa: E402
from peers import Setting, infermesh_command  # noqa: E402

CASES = {"1 KB": ("--size", 1000), "32 KB": ("--size", 32_000), "200 KB": ("--size", 200_000),
         "burst": ("--events", 100)}  # a burst's figures are per event
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


def load(tools: Tools, port: int, case: str, seconds: int) -> int:
    result = tools.load(port, [*CASES[case], "--connections", 8, "--seconds", seconds, "--warm", 0])
    return result["events"] or result["requests"]


def count(options: argparse.Namespace, folder: pathlib.Path) -> tuple[pathlib.Path, int]:
    binary = pathlib.Path(options.binary).resolve()
    tools = Tools(binary.parent, folder)
    profile = folder / "callgrind.out"
    port = machine.free_ports(1)[0]
    with tools.engines() as engines:
        plain = infermesh_command(Setting(folder, engines, port, binary), options.policy)
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={profile}", *plain]
        router = Process(command, machine.PROXY_CORE, folder / "router.log")
        try:
            machine.wait_served(router, port, within=90)
            load(tools, port, options.case, 2)
            control = ["callgrind_control", "-i"]
            subprocess.run([*control, "on", str(router.pid)], check=True, capture_output=True)
            count = load(tools, port, options.case, options.seconds)
            subprocess.run([*control, "off", str(router.pid)], check=True, capture_output=True)
            router.process.terminate()
            router.process.wait(60)  # the profile is written at the end
        finally:
            router.stop()
    return profile, count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=str(machine.ROOT / "build/release/infermesh"))
    parser.add_argument("--case", default="1 KB", choices=list(CASES))
    parser.add_argument("--policy", default="expected_latency")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--least", type=float, default=1.0, help="percent of the whole that a line must have")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: apt-get install valgrind", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="infermesh-count-") as name:
        try:
            profile, requests = count(options, pathlib.Path(name))
        except machine.Failed as failure:
            raise SystemExit(f"no figures: {failure}") from None
        for title, flags in (("itself", ()), ("with what it calls", ("--inclusive=yes",))):
            rows = parse(annotate(profile, *flags), requests, options.least)
            print(f"\n{options.case}, {options.policy}, {requests} requests: instructions a request, {title}")
            for instructions, percent, function in rows:
                print(f"{instructions:10,} {percent:5.1f} %  {function}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
