"""The five sections of the demonstration."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from processes import (
    ENGINES,
    MODEL,
    SLOTS,
    Children,
    Engine,
    Mesh,
    engine_url,
    start_engine,
    start_mesh,
)
from screen import SCREEN
from traffic import (
    CONVERSATIONS,
    PLACES,
    TURNS,
    Client,
    Figures,
    LiveTable,
    Served,
    figures_of,
    run_traffic,
    system_prompt,
)


def show_engines(children: Children) -> list[Engine]:
    started = time.monotonic()
    SCREEN.working(1, "engines", f"starting {ENGINES} llama.cpp servers")
    starting = [start_engine(children, number + 1) for number in range(ENGINES)]
    import openai  # takes as long as the servers need to start  # noqa: F401

    engines = [Engine(child, engine_url(child)) for child in starting]
    SCREEN.section(
        1,
        "engines",
        f"{ENGINES} llama.cpp servers up in {time.monotonic() - started:.1f} s "
        f"({MODEL}, {SLOTS} slots each)",
    )
    return engines


def show_mesh(children: Children, engines: list[Engine]) -> Mesh:
    SCREEN.working(2, "mesh", "starting infermesh up")
    started = time.monotonic()
    mesh = start_mesh(children, "infermesh", engines, "expected_latency")
    took = time.monotonic() - started
    names = {found["url"]: found["name"] for found in mesh.engines()}
    for engine in engines:
        engine.name = names[engine.url]
    models = mesh.ask("/api/models")["models"]
    SCREEN.section(
        2,
        "mesh",
        f"ready in {took * 1000:.0f} ms: {len(engines)} engines, {len(models)} model, {mesh.base}",
    )
    return mesh


def show_traffic(children: Children, engines: list[Engine], mesh: Mesh) -> tuple[Figures, Figures]:
    total = CONVERSATIONS * TURNS
    SCREEN.working(3, "traffic", f"{total} requests by round_robin, for comparison")
    other = start_mesh(children, "round-robin", engines, "round_robin")
    plain = figures_of(run_traffic(other, salt=1))
    other.child.process.terminate()
    other.child.process.wait(10)
    SCREEN.section(
        3, "traffic", f"{total} requests, {CONVERSATIONS} conversations with prefixes of their own"
    )
    with LiveTable(mesh) as table:
        served = run_traffic(mesh, salt=2, show=table.show)
    return plain, figures_of(served)


@dataclass
class Wave:
    """Requests in flight when an engine is killed."""

    served: list[Served]
    records: list[dict]
    victim: str

    def hit(self) -> list[tuple[Served, dict]]:
        """Those that were on the killed engine at that moment."""
        pairs = zip(self.served, self.records, strict=True)
        return [
            (one, record)
            for one, record in pairs
            if any(a["engine"] == self.victim and a["outcome"] != "ok" for a in record["attempts"])
        ]


def run_wave(mesh: Mesh, victim: Engine, size: int = 24) -> Wave:
    """Half of the requests stream. The engine is killed once it has some of both kinds."""
    client = Client(mesh)
    begun: list[Served] = []

    def one(number: int) -> Served:
        kind = "chat stream" if number % 2 else "chat"
        messages = [
            {
                "role": "user",
                "content": f"{system_prompt(PLACES[number % 8], 100 + number)} Tell all of it.",
            }
        ]
        return client.ask(number, kind, messages, 250, begun.append)

    with ThreadPoolExecutor(size) as pool:
        running = [pool.submit(one, number) for number in range(size)]

        def busy() -> bool:
            if all(run.done() for run in running):
                return True
            at = {found["name"]: found for found in mesh.engines()}[victim.name]
            return at["in_flight"] >= 5 and any(one.engine == victim.name for one in begun)

        mesh.child.until(busy, "load reaching the engine")
        victim.child.process.kill()
        served = [run.result() for run in running]
    return Wave(
        served, [mesh.decision(one.request_id) or {"attempts": []} for one in served], victim.name
    )


def show_failure(children: Children, engines: list[Engine], mesh: Mesh) -> int:
    victim = engines[1]
    SCREEN.working(4, "failure", f"kill -9 {victim.name} under load")
    wave = run_wave(mesh, victim)
    hit = wave.hit()
    stayed = [one for one, record in hit if record["attempts"][-1]["engine"] == victim.name]
    begun = [one for one in stayed if one.began]
    moved = len(hit) - len(stayed)
    lost = [one for one in wave.served if one.error and not one.began]
    SCREEN.section(
        4,
        "failure",
        f"kill -9 {victim.name}: {len(wave.served)} requests in flight, {len(hit)} of them on it",
    )
    SCREEN.detail(
        f"{moved} not yet answered: all retried elsewhere and answered"
        if not lost
        else SCREEN.paint("31", f"{len(lost)} requests lost, the first: {lost[0].error}")
    )
    told = sum(bool(one.error) for one in begun)
    SCREEN.detail(f"{len(begun)} streams already begun: {told} ended with an error the client saw")
    started = time.monotonic()
    port = int(victim.url.rpartition(":")[2])
    victim.child = start_engine(children, 2, port)
    engine_url(victim.child)
    mesh.wait_ready(ENGINES)
    SCREEN.detail(
        f"{victim.name} started again and taken back after {time.monotonic() - started:.1f} s"
    )
    return len(lost) + len(begun) - told


def show_summary(plain: Figures, routed: Figures, lost_in_failure: int) -> None:
    SCREEN.section(5, "summary", "")
    rows = [
        ("", "round_robin", "expected_latency"),
        ("requests", str(plain.requests), str(routed.requests)),
        ("ttft p50/p99", plain.ttft_text(), routed.ttft_text()),
        (
            "prompt tokens cached",
            f"{plain.hits:.0%}".replace("%", " %"),
            f"{routed.hits:.0%}".replace("%", " %"),
        ),
        ("lost", str(plain.lost), str(routed.lost)),
        ("lost by the kill", "", str(lost_in_failure)),
    ]
    for name, left, right in rows:
        SCREEN.detail(f"{name:<22} {left:<16} {right}".rstrip())
