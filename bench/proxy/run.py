#!/usr/bin/env python3
"""What a proxied request costs: infermesh beside plain proxies and other LLM routers, in one run, on one core.

    make bench                              every peer and figure, three rounds, some ten minutes; writes docs/benchmarks.md
    make bench ARGS=--quick                 infermesh and nginx, one round, under a minute; writes nothing in docs
    make bench ARGS='--rows 1k,burst --peers infermesh,nginx,smg'

The proxy is pinned to core 1; four mock engines that answer at once and the load generator share core 0. CPU time is
user + system of the proxy's whole process tree over exactly the measured window. Medians of the rounds; in each, every
peer is started anew. Loopback, kept-alive connections. Half of each prompt is one of eight shared prefixes.
"""
from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Iterator

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import idle  # noqa: E402
import machine  # noqa: E402
import peers as known  # noqa: E402
import report  # noqa: E402
import rows as figure_rows  # noqa: E402
from machine import Failed, Process, Tools  # noqa: E402
from peers import INFERMESH, Peer, Setting  # noqa: E402
from rows import DIRECT, ROWS, Figures, Row  # noqa: E402

WARM = 0.3
BUSY = 0.5  # load average from which others are in the way


class Screen:
    """A line for each thing that is done; on a terminal also what is being done now."""

    def __init__(self):
        self.live = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        colour = self.live and "NO_COLOR" not in os.environ
        self.bold, self.dim, self.off = ("\033[1m", "\033[2m", "\033[0m") if colour else ("", "", "")
        self.begun = time.monotonic()

    def now(self, text: str) -> None:
        if self.live:
            took = time.monotonic() - self.begun
            print(f"\r\033[K   {self.dim}{took // 60:2.0f}:{took % 60:02.0f}  {text}{self.off}", end="", file=sys.stderr, flush=True)

    def line(self, text: str) -> None:
        clear = "\r\033[K" if self.live else ""
        print(f"{clear}{text}", file=sys.stderr, flush=True)


class Bench:
    def __init__(self, options: argparse.Namespace, tools: Tools, engines: list[int], screen: Screen):
        self.options, self.tools, self.engines, self.screen = options, tools, engines, screen
        self.binary = pathlib.Path(options.binary).resolve()
        self.figures = Figures()
        self.failures: collections.Counter = collections.Counter()  # by peer and figure; after two it is left

    @contextlib.contextmanager
    def started(self, peer: Peer) -> Iterator[tuple[Process, int, float]]:
        """A fresh peer that has served its first request: process, port, seconds until then."""
        port = machine.free_ports(1)[0]
        setting = Setting(self.tools.folder, self.engines, port, self.binary)
        command = peer.command(setting)
        begun = time.monotonic()
        process = Process(command, machine.PROXY_CORE, self.tools.folder / f"{peer.name.replace(' ', '-')}.log")
        try:
            machine.wait_served(process, port)
            yield process, port, time.monotonic() - begun
        finally:
            process.stop()

    @contextlib.contextmanager
    def guarded(self, peer: str, what: str) -> Iterator[None]:
        try:
            yield
        except Failed as failure:
            self.failures[peer, what] += 1
            self.figures.note(f"{peer}, {what}: {failure}")

    def wanted(self, key: str) -> bool:
        return any(row.key == key for row in self.options.chosen_rows)

    def under_load(self, name: str, port: int, pids: list[int]) -> None:
        for flags, rows in figure_rows.loads(self.options.chosen_rows):
            if name == DIRECT and not any(row.added for row in rows):
                continue
            if self.failures[name, rows[0].title] >= 2:
                continue
            self.screen.now(f"{self.step}  {name}: {rows[0].title}")
            with self.guarded(name, rows[0].title):
                window = ["--seconds", self.options.seconds, "--warm", WARM]
                result = self.tools.load(port, [*flags, *window, *(["--pids", ",".join(map(str, pids))] if pids else [])])
                for row in rows:
                    self.figures.add(row.key, name, row.read(result))

    def round(self, number: int) -> None:
        self.step = f"round {number}/{self.options.repeats}"
        self.under_load(DIRECT, self.engines[0], [])
        for peer in self.options.chosen_peers:
            self.screen.now(f"{self.step}  {peer.name}: start")
            with self.guarded(peer.name, "start"), self.started(peer) as (process, port, seconds):
                if self.wanted("start"):
                    self.figures.add("start", peer.name, seconds * 1000)
                if self.wanted("idle-rss"):
                    time.sleep(0.5)
                    self.figures.add("idle-rss", peer.name, machine.memory_kib(process.pid) / 1024)
                self.under_load(peer.name, port, machine.tree(process.pid))
            self.screen.line(self.progress(peer.name, number))

    def progress(self, name: str, number: int) -> str:
        cells = []
        for row in self.options.chosen_rows:
            if row.load:
                samples = self.figures.samples.get(row.key, {}).get(name, [])
                found = samples[number - 1] if len(samples) >= number else None
                cells.append(report.number(found, row.digits).rjust(9))
        return f"   {self.screen.dim}{self.step}{self.screen.off}  {name:26}" + "".join(cells)

    def memory(self) -> None:
        for peer in self.options.chosen_peers:
            said = []
            if self.wanted("stream-rss"):
                self.screen.now(f"memory  {peer.name}: {figure_rows.IDLE_STREAMS:,} idle streams")
                with self.guarded(peer.name, "idle streams"), self.started(peer) as (process, port, _):
                    time.sleep(0.5)
                    found = figure_rows.idle_stream_kib(self.tools, process, port)
                    self.figures.add("stream-rss", peer.name, found)
                    said.append(f"{found:9.1f} KiB a stream")
            if self.wanted("peak-rss"):
                self.screen.now(f"memory  {peer.name}: distinct prompts")
                with self.guarded(peer.name, "distinct prompts"), self.started(peer) as (process, port, _):
                    found, done = figure_rows.peak_mib(self.tools, process, port)
                    self.figures.add("peak-rss", peer.name, found)
                    said.append(f"{found:9,.0f} MiB peak")
                    if done < figure_rows.DISTINCT:
                        self.figures.note(f"{peer.name}, peak RSS: after {done:,} prompts, in {figure_rows.DISTINCT_SECONDS} s")
            if said:
                self.screen.line(f"   {self.screen.dim}memory   {self.screen.off}  {peer.name:26}" + "".join(said))

    def still(self) -> None:
        """What needs no load: sizes, and infermesh's own figures."""
        if self.wanted("size"):
            for peer in self.options.chosen_peers:
                if (path := known.binary(peer.program, self.binary)) and path.exists():
                    self.figures.add("size", peer.name, machine.stripped_mb(path))
        for keys, measure in idle.OWN:
            if any(map(self.wanted, keys)) and any(peer.name == INFERMESH for peer in self.options.chosen_peers):
                self.screen.now(f"{INFERMESH}: {keys[0]}")
                with self.guarded(INFERMESH, keys[0]):
                    for key, found in measure(self.tools, self.binary).items():
                        self.figures.add(key, INFERMESH, found)

    def run(self) -> None:
        if titles := [row.key.rjust(9) for row in self.options.chosen_rows if row.load]:
            self.screen.line(f"   {self.screen.dim}{'':9}  {'us':26}{''.join(titles)}{self.screen.off}")
        if titles or self.wanted("start") or self.wanted("idle-rss"):
            for number in range(1, self.options.repeats + 1):
                self.round(number)
        self.memory()
        self.still()


def chosen(text: str | None, names: list[str], what: str) -> list[str]:
    """The names asked for; one may stand for all that begin with it."""
    if not text:
        return names
    found = []
    for word in filter(None, (word.strip() for word in text.split(","))):
        fits = [name for name in names if name == word] or [name for name in names if name.split()[0] == word]
        if not fits:
            raise SystemExit(f"there is no {what} \"{word}\"; choose from {', '.join(names)}")
        found += fits
    return [name for name in names if name in found]


def preface(options: argparse.Namespace, load: tuple[float, float]) -> str:
    binary = pathlib.Path(options.binary)
    programs = dict.fromkeys(peer.program for peer in options.chosen_peers)
    versions = ", ".join(f"{program} {known.version(program, binary)}" for program in programs)
    return (f"{versions}. {machine.describe()}. {options.repeats} round{'s' if options.repeats > 1 else ''}, windows of "
            f"{options.seconds:g} s, medians. Load average {load[0]:.1f} before, {load[1]:.1f} after (two of it are the "
            "benchmark's own).")


def text_of(bench: Bench, options: argparse.Namespace, load: tuple[float, float]) -> str:
    parts = [report.table(bench.figures, options.chosen_peers), preface(options, load)]
    if bench.figures.notes:
        parts.append("\n".join(f"- {note}" for note in bench.figures.notes))
    return "\n\n".join(parts) + "\n"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="infermesh and nginx, one round")
    parser.add_argument("--rows", help="figures, with commas: " + ",".join(row.key for row in ROWS))
    parser.add_argument("--peers", help="peers, with commas: " + ", ".join(peer.name for peer in known.PEERS))
    parser.add_argument("--seconds", type=float, default=2, help="length of a window of load (default 2)")
    parser.add_argument("--repeats", type=int, help="rounds (default 3; 1 with --quick)")
    parser.add_argument("--binary", default=str(machine.ROOT / "build/release/infermesh"))
    parser.add_argument("--tools", help="folder of mock_engine and load_gen (default: where the binary is)")
    parser.add_argument("-o", "--output", help="write the table to this file, too")
    options = parser.parse_args()
    options.whole = not (options.quick or options.rows or options.peers or options.repeats)
    options.repeats = options.repeats or (1 if options.quick else 3)
    keys = chosen(options.rows, [row.key for row in ROWS], "row")
    options.chosen_rows = [row for row in ROWS if row.key in keys]
    names = known.QUICK if options.quick and not options.peers else [peer.name for peer in known.PEERS]
    names = chosen(options.peers, names, "peer")
    options.chosen_peers = [peer for peer in known.PEERS if peer.name in names]
    return options


def leave_out_missing(options: argparse.Namespace, figures: Figures) -> None:
    for program in dict.fromkeys(peer.program for peer in options.chosen_peers):
        if reason := known.missing(program, pathlib.Path(options.binary)):
            if program == INFERMESH:
                raise SystemExit(f"{options.binary} is {reason}")
            figures.note(f"{program}: left out, {reason}")
            options.chosen_peers = [peer for peer in options.chosen_peers if peer.program != program]


def main() -> int:
    options = parse()
    build = pathlib.Path(options.tools or pathlib.Path(options.binary).parent).resolve()
    for tool in ("mock_engine", "load_gen"):
        if not (build / tool).exists():
            raise SystemExit(f"{build / tool} is not built: ninja -C {build} mock_engine load_gen")
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("the benchmark needs two cores: one for the proxy, one for all else")
    machine.allow_many_files()
    screen = Screen()
    load_before = os.getloadavg()[0]
    if load_before > BUSY:
        screen.line(f"   the machine is busy (load average {load_before:.1f}): the figures will be too high, and unlike each other")
    with tempfile.TemporaryDirectory(prefix="infermesh-bench-") as name:
        tools = Tools(build, pathlib.Path(name))
        with tools.engines() as engines:
            bench = Bench(options, tools, engines, screen)
            leave_out_missing(options, bench.figures)
            bench.run()
    text = text_of(bench, options, (load_before, os.getloadavg()[0]))
    screen.line("")
    if sys.stdout.isatty():
        print(report.screen_table(bench.figures, options.chosen_peers, screen.bold != ""))
        print("".join(f"\n   {note}" for note in bench.figures.notes))
    else:
        print(text)
    write(options, bench, text)
    return 0


def write(options: argparse.Namespace, bench: Bench, text: str) -> None:
    kept = machine.ROOT / "build/bench"
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "report.md").write_text(text)
    (kept / "report.json").write_text(json.dumps({"samples": bench.figures.samples, "notes": bench.figures.notes}, indent=1))
    if options.output:
        pathlib.Path(options.output).write_text(text)
    if not options.whole:
        bench.screen.line("   the table: build/bench/report.md")
    else:
        page = machine.ROOT / "docs/benchmarks.md"
        page.write_text(report.replace_between(page.read_text(), text))
        bench.screen.line("   written to docs/benchmarks.md; samples in build/bench/report.json")


if __name__ == "__main__":
    sys.exit(main())
