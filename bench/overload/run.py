#!/usr/bin/env python3
"""Overload: twice what the engines can do, of three priorities. Goodput must stay near its peak, who is more important must
be served as if nothing were amiss, the rest must be told so at once or wait in turn, and afterwards all must be as before.

    make overload                          5 minutes at twice the capacity
    make overload ARGS='--minutes 0.5'

Phases: the peak (a closed loop that keeps every slot in use), calm (half load), overload, calm again. Exit 1 when a check
fails.
"""
from __future__ import annotations

import argparse
import asyncio
import pathlib
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "stress"))

from client import Ask, Clients, Fate  # noqa: E402
from verdict import Screen, Verdict, percentile  # noqa: E402
from world import ROOT, SLOTS, World, count_of  # noqa: E402

ENGINES = 4
# Shares of the requests. At twice the capacity the first two fill it exactly; what is left for low is its weight's share.
SHARES = {"high": 0.15, "normal": 0.35, "low": 0.5}
QUEUE_TIMEOUT = 1.0
POOL = {"in_flight_per_engine_max": SLOTS, "queue_max": 48, "queue_timeout": "1s"}
REFUSALS = {("queue_full", 503), ("queue_deadline", 504), ("shed", 429)}


@dataclass
class Options:
    minutes: float = 5
    peak_seconds: float = 10
    calm_seconds: float = 10
    seed: int = 1
    binary: pathlib.Path = ROOT / "build/release/infermesh"


@dataclass
class Phase:
    """The requests that were sent in one phase."""
    begun: float
    ended: float = 0.0
    fates: list[Fate] = field(default_factory=list)

    def of(self, priority: str) -> list[Fate]:
        return [fate for fate in self.fates if fate.ask.priority == priority]

    def goodput(self, limit: float) -> float:
        """Answers a second that came whole and within `limit`, from the first send to the last."""
        good = [fate for fate in self.fates if fate.ok and fate.seconds <= limit]
        return len(good) / max(1e-9, self.ended - self.begun)


class Overload:
    def __init__(self, world: World, options: Options, screen: Screen):
        self.world, self.options, self.screen = world, options, screen
        self.clients = Clients(world.mesh.address, options.seed)
        self.rng = random.Random(options.seed)
        self.phases: dict[str, Phase] = {}
        self.capacity = 0.0

    def ask(self, mark: str) -> Ask:
        priority = self.rng.choices(list(SHARES), SHARES.values())[0]
        prompt = f"prefix {self.rng.randrange(8)} " * 20 + str(self.rng.random())
        return Ask(self.clients.next_id(mark), stream=self.rng.random() < 0.3, tokens=16, prompt=prompt, priority=priority)

    async def closed(self, seconds: float) -> Phase:
        """Every slot in use, and a few requests that wait."""
        phase = Phase(time.monotonic())
        end = phase.begun + seconds

        async def one_client() -> None:
            while time.monotonic() < end:
                phase.fates.append(await self.clients.run(self.ask("peak")))

        await asyncio.gather(*(one_client() for _ in range(ENGINES * SLOTS + 8)))
        phase.ended = time.monotonic()
        return phase

    async def open(self, mark: str, share: float, seconds: float) -> Phase:
        """`share` of the capacity, at random moments. What was begun is waited for by nobody: the next phase follows at once."""
        phase = Phase(time.monotonic())
        due = phase.begun
        while (now := time.monotonic()) - phase.begun < seconds:
            due += self.rng.expovariate(self.capacity * share)
            await asyncio.sleep(max(0.0, due - now))
            self.clients.start(self.ask(mark))
            if self.clients.latest % 20 == 0:
                self.screen.now(f"{mark}: {now - phase.begun:.0f} of {seconds:.0f} s  {len(self.clients.running)} in flight")
        phase.ended = time.monotonic()
        return phase

    async def run(self) -> Verdict:
        options = self.options
        self.screen.now("finding the peak")
        self.phases["peak"] = await self.closed(options.peak_seconds)
        peak = self.phases["peak"]
        self.capacity = sum(fate.ok for fate in peak.fates) / (peak.ended - peak.begun)
        self.screen.line(f"peak {self.capacity:.0f} answers/s; {options.minutes * 60:.0f} s at twice that")
        for mark, share, seconds in (("calm", 0.5, options.calm_seconds), ("overload", 2.0, options.minutes * 60),
                                     ("after", 0.5, options.calm_seconds)):
            self.phases[mark] = await self.open(mark, share, seconds)
        await self.clients.finish()
        self.clients.close()
        for fate in self.clients.fates:
            mark = fate.ask.id.partition("-")[0]
            if mark != "peak":
                self.phases[mark].fates.append(fate)
        return await asyncio.to_thread(self.judge)

    # ---- what came of it
    def judge(self) -> Verdict:
        verdict = Verdict()
        calm, over, after = (self.phases[mark] for mark in ("calm", "overload", "after"))
        usual = percentile([fate.seconds for fate in calm.fates if fate.ok], 0.95)
        limit = QUEUE_TIMEOUT + 3 * usual  # a whole wait in the queue, and then a busy engine
        verdict.tell("goodput at the peak", f"{self.phases['peak'].goodput(limit):.1f}/s")
        verdict.tell("sent in overload", f"{len(over.fates) / (over.ended - over.begun):.1f}/s")
        verdict.at_least("goodput in overload, of the peak", round(over.goodput(limit) / self.phases["peak"].goodput(limit), 3), 0.9)
        self.judge_priorities(verdict, over, calm)
        self.judge_answers(verdict)
        verdict.at_most("back to usual after overload", round(recovery(after, 2 * usual), 2), 5, " s")
        for what, count in self.world.settled().items():
            verdict.at_most(f"{what}, at the end", count, 0)
        verdict.judge("the router's end", code := self.world.stop_router(), "0", code == 0)
        return verdict

    def judge_priorities(self, verdict: Verdict, over: Phase, calm: Phase) -> None:
        served = {}
        for priority in SHARES:
            fates = over.of(priority)
            served[priority] = sum(fate.ok for fate in fates) / max(1, len(fates))
            seconds = [fate.seconds for fate in fates if fate.ok]
            verdict.tell(f"{priority}: served, p50 / p95", f"{served[priority]:.1%} of {len(fates):,}, "
                         f"{percentile(seconds, 0.5):.2f} / {percentile(seconds, 0.95):.2f} s")
        verdict.at_least("high: served", round(served["high"], 4), 0.99)
        usual = percentile([fate.seconds for fate in calm.of("high") if fate.ok], 0.95)
        late = percentile([fate.seconds for fate in over.of("high") if fate.ok], 0.95)
        # With every slot in use a step takes longer than at half load, and a slot must first become free.
        verdict.at_most(f"high: p95 (calm: {usual:.2f} s)", round(late, 3), round(3 * usual, 3), " s")
        verdict.judge("served: high >= normal > low", " > ".join(f"{share:.0%}" for share in served.values()), "in this order",
                      served["high"] >= served["normal"] > served["low"])
        verdict.at_least("low: shed", sum(not fate.ok for fate in over.of("low")), 1)

    def judge_answers(self, verdict: Verdict) -> None:
        """Every request is answered: with what it asked for, or by a refusal that says why."""
        fates = [fate for phase in self.phases.values() for fate in phase.fates]
        refused = [fate for fate in fates if fate.whole and (fate.error_code, fate.status) in REFUSALS]
        unexplained = [fate for fate in fates if not fate.ok and (fate.error_code, fate.status) not in REFUSALS]
        calm = [fate for mark in ("peak", "calm") for fate in self.phases[mark].fates if not fate.ok]
        verdict.tell("refused", count_of(f"{fate.error_code} {fate.status}" for fate in refused) or "none")
        verdict.at_most("refused without overload", len(calm), 0)
        verdict.at_most("neither served nor refused with a reason", len(unexplained), 0)
        for fate in [*unexplained, *calm]:
            verdict.detail(fate.text())


def recovery(after: Phase, usual: float) -> float:
    """Seconds from the end of the overload to the first second in which all but a twentieth of what is sent is served
    within `usual`; a slow one now and then is chance. All of the phase when there is none.
    """
    sent = [(fate.begun - after.begun, fate.ok and fate.seconds <= usual) for fate in after.fates]
    for quarter in range(int((after.ended - after.begun) * 4)):
        window = [well for at, well in sent if quarter / 4 <= at < quarter / 4 + 1]
        if window and sum(window) >= 0.95 * len(window):
            return quarter / 4
    return after.ended - after.begun


def overload(options: Options, screen: Screen | None = None) -> tuple[Verdict, Overload]:
    with tempfile.TemporaryDirectory(prefix="infermesh-overload-") as name:
        with World(pathlib.Path(name), options.binary, ENGINES, POOL, shards=1) as world:
            run = Overload(world, options, screen or Screen())
            return asyncio.run(run.run()), run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=Options.minutes, help="how long at twice the capacity (default 5)")
    parser.add_argument("--seed", type=int, default=Options.seed, help="what chance decides (default 1)")
    parser.add_argument("--binary", type=pathlib.Path, default=Options.binary)
    options = parser.parse_args()
    verdict, _ = overload(Options(options.minutes, seed=options.seed, binary=options.binary.resolve()))
    print(verdict.text())
    return 0 if verdict.holds else 1


if __name__ == "__main__":
    sys.exit(main())
