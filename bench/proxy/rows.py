"""The figures of the table: what each is, its goal, and how one is taken."""
from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import machine
from machine import Failed, Process, Tools

IDLE_STREAMS = 1000
DISTINCT = 18_000
DISTINCT_SECONDS = 10
DIRECT = "direct"  # the generator straight at the engines


@dataclass(frozen=True)
class Goal:
    """At most `nginx` times nginx's figure, or at most `absolute`."""
    nginx: float = 0
    absolute: float | None = None

    def text(self) -> str:
        if self.nginx:
            return f"<= {self.nginx:.1f} x nginx"
        return "" if self.absolute is None else f"<= {self.absolute:g}" if self.absolute else "none"

    def limit(self, nginx: float | None) -> float | None:
        if self.nginx:
            return None if nginx is None else self.nginx * nginx
        return self.absolute


@dataclass(frozen=True)
class Row:
    key: str  # for --rows
    title: str
    goal: Goal = Goal()
    digits: int = 1
    added: bool = False  # what it is over DIRECT's
    load: tuple = ()  # flags of the generator, for what is read off a window of load
    read: Callable[[dict], float] | None = None


def cpu_per(what: str) -> Callable[[dict], float]:
    return lambda result: result["cpu_us"] / result[what]


PACED = ("--events", 100, "--pause", 10, "--connections", 64)
BURST = ("--events", 100, "--connections", 16)
STEADY = ("--rate", 500)
ROWS = [
    Row("1k", "1 KB request, CPU us", Goal(nginx=1.0), load=("--size", 1000, "--connections", 32), read=cpu_per("requests")),
    Row("32k", "32 KB request, CPU us", Goal(nginx=1.3), load=("--size", 32_000), read=cpu_per("requests")),
    Row("200k", "200 KB request, CPU us", Goal(nginx=1.6), load=("--size", 200_000), read=cpu_per("requests")),
    Row("paced", "streamed chunk, paced, CPU us", Goal(nginx=1.0), 2, load=PACED, read=cpu_per("events")),
    Row("burst", "streamed chunk, in bursts, CPU us", Goal(nginx=1.0), 2, load=BURST, read=cpu_per("events")),
    Row("p50", "added latency at 500/s, p50 us", Goal(nginx=1.0), 0, True, STEADY, lambda result: result["p50_us"]),
    Row("p99", "added latency at 500/s, p99 us", Goal(nginx=1.0), 0, True, STEADY, lambda result: result["p99_us"]),
    Row("stream-rss", "RSS per idle stream, KiB", Goal(absolute=8)),
    Row("idle-rss", "RSS idle, MiB", Goal(absolute=20)),
    Row("peak-rss", f"peak RSS, {DISTINCT:,} distinct 200 KB prompts, MiB", Goal(absolute=100), 0),
    Row("start", "start to first served request, ms", Goal(absolute=50), 0),
    Row("size", "stripped binary, MB", Goal(absolute=30)),
    Row("decision", "decision alone, 1,000 engines, 100k-token prompt, p99 us", Goal(absolute=100)),
    Row("decision-heap", "decision alone, heap allocations", Goal(absolute=0), 0),
    Row("polling", "idle, 1,000 engines polled, 54 KB pages, cores", Goal(absolute=0.3), 3),
]


@dataclass
class Figures:
    """Samples by row and peer; notes on what is missing or different."""
    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, row: str, peer: str, value: float) -> None:
        self.samples.setdefault(row, {}).setdefault(peer, []).append(value)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def loads(rows: list[Row]) -> list[tuple[tuple, list[Row]]]:
    """The windows of load to run, each once, with the rows that are read off it."""
    found: dict[tuple, list[Row]] = {}
    for row in rows:
        if row.load:
            found.setdefault(row.load, []).append(row)
    return list(found.items())


def idle_stream_kib(tools: Tools, process: Process, port: int) -> float:
    """What a silent stream holds, both its connections included."""
    before = machine.memory_kib(process.pid)
    flags = ["--port", port, "--hold", 1, "--events", 100_000, "--pause", 1000, "--connections", IDLE_STREAMS]
    client = subprocess.Popen(tools.generator(flags), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if client.stdout.readline().strip() != "open":
            raise Failed(f"{IDLE_STREAMS} streams did not open")
        time.sleep(3)
        return (machine.memory_kib(process.pid) - before) / IDLE_STREAMS
    finally:
        client.kill()
        client.wait()


def peak_mib(tools: Tools, process: Process, port: int) -> tuple[float, int]:
    """Highest RSS, and after how many distinct prompts: slow peers do not get through all of them."""
    flags = ["--distinct", 1, "--size", 200_000, "--requests", DISTINCT, "--seconds", DISTINCT_SECONDS, "--warm", 0]
    done = tools.load(port, flags)["requests"]
    return machine.memory_kib(process.pid, "VmHWM") / 1024, done
