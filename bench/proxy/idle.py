"""Figures that only infermesh has: one decision alone, and watching many engines of which nobody asks anything."""
from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import time
import urllib.request

import machine
from machine import Failed, Process, Tools

ENGINES = 1000
PAGE = machine.ROOT / "test/fixtures/engines/vllm/metrics-load-waiting.http"  # 54 KB, as a vLLM under load said it
DECISION = "decision/1000/1600"  # of core_route_bench: 1,000 engines, 1,600 blocks (100,000 tokens)
SETTLE, WINDOW = 4, 8  # seconds; an idle engine is looked at every two


def body_of(capture: bytes) -> bytes:
    """What stands behind the head of a captured answer."""
    for end in (b"\r\n\r\n", b"\n\n"):
        if end in capture:
            return capture.partition(end)[2]
    raise ValueError("no head in the capture")


def cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ready_engines(ready: pathlib.Path) -> int:
    with contextlib.suppress(OSError, ValueError, KeyError):
        admin = json.loads(ready.read_text())["admin"]
        with urllib.request.urlopen(f"http://{admin}/api/status", timeout=2) as answer:
            return json.load(answer)["engines"]["ready"]
    return 0


def read_decision(text: str) -> dict[str, float]:
    """The counters of the decision in Google Benchmark's JSON."""
    for found in json.loads(text)["benchmarks"]:
        if found["name"].startswith(DECISION):
            return {"decision": found["p99_us"], "decision-heap": found["allocations"]}
    raise Failed(f"{DECISION} was not run")


def decision(tools: Tools, _: pathlib.Path) -> dict[str, float]:
    """One decision alone, without a request around it."""
    program = tools.build / "bench/micro/core_route_bench"
    if not program.exists():
        raise Failed("core_route_bench is not built: `make bench` does")
    command = ["taskset", "-c", str(machine.PROXY_CORE), str(program), f"--benchmark_filter={DECISION}", "--benchmark_format=json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failed(f"core_route_bench ended with {done.returncode}")
    return read_decision(done.stdout)


def polling(tools: Tools, binary: pathlib.Path) -> dict[str, float]:
    """Cores that the router uses while every engine is polled at the pace of an idle one."""
    page, ready = tools.folder / "metrics.txt", tools.folder / "polling.ready"
    page.write_bytes(body_of(PAGE.read_bytes()))
    objects = tools.folder / "polled"
    objects.mkdir(exist_ok=True)
    with tools.engines(ENGINES, page) as ports:
        (objects / "engines.yaml").write_text("---\n".join(
            f"kind: Engine\nname: e{port}\nspec:\n  url: http://127.0.0.1:{port}\n" for port in ports))
        command = [str(binary), "run", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--shards", "1",
                   "--access-log", "off", "--log-level", "warn", "--ready-file", str(ready), "--objects", str(objects)]
        router = Process(command, machine.PROXY_CORE, tools.folder / "polling.log")
        try:
            end = time.monotonic() + 30
            while (found := ready_engines(ready)) < ENGINES:
                router.check()
                if time.monotonic() > end:
                    raise Failed(f"{found} of {ENGINES} engines were ready after 30 s")
                time.sleep(0.2)
            time.sleep(SETTLE)
            before, begun = cpu_seconds(router.pid), time.monotonic()
            time.sleep(WINDOW)
            return {"polling": (cpu_seconds(router.pid) - before) / (time.monotonic() - begun)}
        finally:
            router.stop()


OWN = [(("decision", "decision-heap"), decision), (("polling",), polling)]
