#!/usr/bin/env python3
"""The soak: the real router at half load while its engines are killed, restarted, frozen and slowed at random, clients
vanish, bodies stall and readers are slow. Nothing may leak, nothing may hang, and every request is answered but those whose
answer had begun on an engine that was killed; which ones these are, clients and engines must agree on, one by one.

    make soak                          30 minutes
    make soak ARGS='--minutes 2 --seed 7'

Exit 1 when a check fails. The same seed gives the same faults and requests in the same order; their timing is real.
"""
from __future__ import annotations

import argparse
import asyncio
import pathlib
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "stress"))

from client import GOOD, LEAVES, SLOW_BODY, SLOW_READER, STALLS, Ask, Clients, Fate  # noqa: E402
from verdict import Screen, Verdict, percentile, slope  # noqa: E402
from world import ROOT, SLOTS, Engine, World, count_of  # noqa: E402

ENGINES = 4
MANNERS = {GOOD: 80, LEAVES: 9, SLOW_BODY: 4, SLOW_READER: 4, STALLS: 3}
# What the router remembers is kept small, so that it is full before the warm-up is over.
SETTINGS = {"client_body_timeout": "2500ms", "prefix_index_bytes": "1MiB", "decisions_kept": 256, "shards": 1}
HTTP2_SHARE = 0.4
POOL = {"in_flight_per_engine_max": SLOTS, "queue_max": 512, "retry_budget": 1.0}


@dataclass
class Options:
    minutes: float = 30
    seed: int = 1
    binary: pathlib.Path = ROOT / "build/release/infermesh"
    fault_every: float = 8.0  # seconds, on average
    growth_mib: float = 4.0  # of RSS after the warm-up


class Chaos:
    """Does things to engines, one at a time, each brought back; so three of four are well at any moment."""

    def __init__(self, world: World, options: Options):
        self.world, self.every = world, options.fault_every
        self.rng = random.Random(options.seed)
        self.done: list[str] = []
        self.bag: list = []
        self.latest: asyncio.Task | None = None

    async def run(self) -> None:
        while True:
            await asyncio.sleep(min(self.rng.expovariate(1 / self.every), 3 * self.every))
            one = self.rng.choice(self.world.engines)
            what = self.next_fault()
            self.done.append(what.__name__)
            # A fault that has begun is undone whatever happens: no engine stays frozen or dead.
            self.latest = asyncio.create_task(what(one))
            await asyncio.shield(self.latest)

    def next_fault(self):
        """By chance, yet each kind in every five."""
        if not self.bag:
            self.bag = [self.kill, self.kill, self.restart, self.freeze, self.slow]
            self.rng.shuffle(self.bag)
        return self.bag.pop()

    async def again(self, one: Engine, after: float, **how: float) -> None:
        await asyncio.sleep(after)
        await asyncio.to_thread(one.start, **how)

    async def kill(self, one: Engine) -> None:
        await asyncio.to_thread(one.end, signal.SIGKILL)
        await self.again(one, self.rng.uniform(0.2, 3))

    async def restart(self, one: Engine) -> None:
        await asyncio.to_thread(one.end, signal.SIGTERM)
        await self.again(one, 0)

    async def freeze(self, one: Engine) -> None:
        one.freeze()
        await asyncio.sleep(self.rng.uniform(0.3, 3))
        one.thaw()

    async def slow(self, one: Engine) -> None:
        await asyncio.to_thread(one.end, signal.SIGTERM)
        await self.again(one, 0, speed=0.02)
        await asyncio.sleep(self.rng.uniform(0.5, 1) * min(6, 2 * self.every))
        await asyncio.to_thread(one.end, signal.SIGTERM)
        await self.again(one, 0)


@dataclass
class Watch:
    """Memory and descriptors of the router over time."""
    world: World
    begun: float = field(default_factory=time.monotonic)
    rss: list[tuple[float, float]] = field(default_factory=list)
    descriptors: int = 0

    async def run(self) -> None:
        while True:
            self.rss.append((time.monotonic() - self.begun, self.world.rss_mib()))
            self.descriptors = max(self.descriptors, self.world.descriptors())
            await asyncio.sleep(0.5)


class Soak:
    def __init__(self, world: World, options: Options, screen: Screen):
        self.world, self.options, self.screen = world, options, screen
        self.clients = Clients(world.mesh.address, options.seed)
        self.rng = random.Random(options.seed + 1)
        self.chaos, self.watch = Chaos(world, options), Watch(world)
        self.capacity = self.seconds = 0.0
        self.before = 0  # descriptors

    def ask(self, manner: str | None = None) -> Ask:
        chosen = manner or self.rng.choices(list(MANNERS), MANNERS.values())[0]
        prompt = f"prefix {self.rng.randrange(8)} " * self.rng.choice([4, 40, 400]) + str(self.rng.random())
        stream = chosen == SLOW_READER or self.rng.random() < 0.5
        return Ask(self.clients.next_id("soak"), chosen, stream, self.rng.randrange(4, 29), prompt,
                   http2=self.clients.sessions is not None and self.rng.random() < HTTP2_SHARE)

    async def use_http2(self) -> str:
        """Why it cannot be used; empty when it is."""
        try:
            import client_h2
        except ImportError:
            return "not asked: no Python package h2"
        if not await client_h2.spoken(self.world.mesh.address):
            return "not asked: the router does not speak it"
        self.clients.sessions = client_h2.Sessions(self.world.mesh.address)
        return ""

    async def find_capacity(self, seconds: float) -> float:
        """Answers a second with every slot in use and nothing amiss."""
        end = time.monotonic() + seconds

        async def one_client() -> int:
            count = 0
            while time.monotonic() < end:
                await self.clients.run(self.ask(GOOD))
                count += 1
            return count

        begun = time.monotonic()
        counts = await asyncio.gather(*(one_client() for _ in range(ENGINES * SLOTS)))
        return sum(counts) / (time.monotonic() - begun)

    async def send(self, seconds: float) -> None:
        """Half the capacity, at random moments."""
        begun = due = time.monotonic()
        while (now := time.monotonic()) - begun < seconds:
            due += self.rng.expovariate(self.capacity / 2)
            await asyncio.sleep(max(0.0, due - now))
            self.clients.start(self.ask())
            if self.clients.latest % 20 == 0:
                self.show(now - begun, seconds)

    def show(self, at: float, of: float) -> None:
        memory = self.watch.rss[-1][1] if self.watch.rss else 0
        self.screen.now(f"{at:5.0f} of {of:.0f} s  {len(self.clients.fates):,} requests  {len(self.chaos.done)} faults  "
                        f"{len(self.clients.running)} in flight  {memory:.1f} MiB")

    async def run(self) -> Verdict:
        self.seconds = self.options.minutes * 60
        self.no_http2 = await self.use_http2()
        self.screen.now("finding the capacity")
        self.before = self.world.descriptors()
        self.capacity = await self.find_capacity(min(5.0, self.seconds / 6))
        self.screen.line(f"capacity {self.capacity:.0f} requests/s; {self.seconds:.0f} s at half of it, seed {self.options.seed}")
        tasks = [asyncio.create_task(self.chaos.run()), asyncio.create_task(self.watch.run())]
        await self.send(self.seconds)
        await self.end(tasks)
        return await asyncio.to_thread(self.judge)

    async def end(self, tasks: list[asyncio.Task]) -> None:
        for task in tasks:
            task.cancel()
        self.screen.now("waiting for the last answers")
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.chaos.latest:
            await self.chaos.latest  # undone
        await self.clients.finish()
        self.clients.close()

    # ---- what came of it
    def judge(self) -> Verdict:
        verdict = Verdict()
        fates = self.clients.fates
        gauges = self.world.settled()
        verdict.tell("faults", count_of(self.chaos.done) or "none")
        verdict.tell("requests", f"{len(fates):,}: {count_of(fate.ask.manner for fate in fates)}")
        over_http2 = sum(fate.ask.http2 for fate in fates)
        verdict.tell("over HTTP/2", self.no_http2 or f"{over_http2:,}")
        verdict.tell("retries", f"{self.world.mesh.metric('infermesh_retries_total'):.0f}")
        self.judge_answers(verdict, fates)
        self.judge_end(verdict, gauges)
        self.judge_memory(verdict)
        verdict.judge("the router's end", code := self.world.stop_router(), "0", code == 0)
        return verdict

    def judge_answers(self, verdict: Verdict, fates: list[Fate]) -> None:
        lost, stuck = self.world.journals()
        good = [fate for fate in fates if not fate.left and fate.ask.manner != STALLS]
        failed = {fate.ask.id: fate for fate in good if not fate.ok}
        left = {fate.ask.id for fate in fates if fate.left}
        unexplained = [fate for name, fate in failed.items() if name not in lost]
        # The last bytes may have reached the client although the engine did not live to write that down.
        silent = [name for name in lost - left - failed.keys() if not self.answered(name, good)]
        verdict.tell("answered well", f"{len(good) - len(failed):,} of {len(good):,}")
        verdict.tell("lost with a killed engine, answer begun", f"{len(failed) - len(unexplained):,}")
        verdict.at_most("failed without such a reason", len(unexplained), 0)
        verdict.at_most("lost by engines, unknown to clients", len(silent), 0)
        verdict.at_most("never let go of by living engines", len(stuck), 0)
        quiet = [fate for fate in failed.values() if fate.ask.stream and fate.status == 200 and (fate.whole or fate.done)]
        verdict.at_most("broken streams with a clean end", len(quiet), 0)
        stalls = [fate for fate in fates if fate.ask.manner == STALLS]
        late = [fate for fate in stalls if fate.status != 408]
        verdict.at_most(f"stalled bodies ({len(stalls)}) not told 408", len(late), 0)
        slowest = percentile([fate.seconds for fate in good], 1.0)
        verdict.tell("latency p50 / p99 / max", " / ".join(
            f"{percentile([fate.seconds for fate in good], share):.2f}" for share in (0.5, 0.99)) + f" / {slowest:.2f} s")
        for fate in [*unexplained, *quiet, *late]:
            verdict.detail(fate.text())
        for name in [*silent, *stuck]:
            verdict.detail(f"{name}: only its engine knows of its end" if name in silent else f"{name}: stuck on its engine")

    @staticmethod
    def answered(name: str, good: list[Fate]) -> bool:
        return any(fate.ask.id == name and fate.ok for fate in good)

    def judge_end(self, verdict: Verdict, gauges: dict[str, float]) -> None:
        for what, count in gauges.items():
            verdict.at_most(f"{what}, at the end", count, 0)
        # Kept connections to engines leave by themselves within seconds.
        end = time.monotonic() + 10
        while (now := self.world.descriptors()) > self.before + ENGINES and time.monotonic() < end:
            time.sleep(0.1)
        verdict.at_most(f"descriptors at the end (most {self.watch.descriptors})", now, self.before + ENGINES)

    def judge_memory(self, verdict: Verdict) -> None:
        warm = [sample for sample in self.watch.rss if sample[0] >= self.seconds / 3]
        if len(warm) < 2:
            return
        span = warm[-1][0] - warm[0][0]
        first = percentile([rss for at, rss in warm if at <= warm[0][0] + span / 5], 0.5)
        verdict.tell("RSS after the warm-up, at the end", f"{first:.1f}, {warm[-1][1]:.1f} MiB")
        verdict.at_most("RSS growth by its slope after the warm-up", round(slope(warm) * span, 2), self.options.growth_mib, " MiB")
        verdict.at_most("RSS peak over its start after the warm-up", round(max(rss for _, rss in warm) - first, 2),
                        2 * self.options.growth_mib, " MiB")


def soak(options: Options, screen: Screen | None = None) -> Verdict:
    with tempfile.TemporaryDirectory(prefix="infermesh-soak-") as name:
        with World(pathlib.Path(name), options.binary, ENGINES, POOL, **SETTINGS) as world:
            return asyncio.run(Soak(world, options, screen or Screen()).run())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=Options.minutes, help="how long (default 30)")
    parser.add_argument("--seed", type=int, default=Options.seed, help="what chance decides (default 1)")
    parser.add_argument("--binary", type=pathlib.Path, default=Options.binary)
    parser.add_argument("--fault-every", type=float, default=Options.fault_every, help="seconds between two faults (default 8)")
    options = parser.parse_args()
    verdict = soak(Options(options.minutes, options.seed, options.binary.resolve(), options.fault_every))
    print(verdict.text())
    return 0 if verdict.holds else 1


if __name__ == "__main__":
    sys.exit(main())
