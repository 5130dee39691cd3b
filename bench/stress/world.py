"""The real router and simulated engines as processes: started, killed, frozen, slowed, and looked at."""
from __future__ import annotations

import collections
import json
import os
import pathlib
import signal
import sys
import time
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test/e2e"))

from harness.mesh import Mesh, engine  # noqa: E402
from harness.process import Program, find_binary  # noqa: E402
from harness.wait import eventually  # noqa: E402

SLOTS = 8  # requests that an engine computes at once, and that the router sends it
# A step of some 12 ms with every slot in use: a token for each of them, so that an answer of 16 takes 0.2 s.
ENGINE_FLAGS = ["--max-num-seqs", SLOTS, "--kv-blocks", 4096, "--keep-alive", "6s"]
SPEED = 0.05


@dataclass
class Incarnation:
    """One life of an engine's process, with the journal of what it had in hand."""
    program: Program
    journal: pathlib.Path
    killed_at: int | None = None  # how much of the journal was written when it was told to end

    def told(self) -> tuple[set[str], set[str]]:
        text = self.journal.read_text() if self.journal.exists() else ""
        return in_hand(text, len(text) if self.killed_at is None else self.killed_at)


def in_hand(journal: str, until: int) -> tuple[set[str], set[str]]:
    """The requests (by id, without the number of the attempt) that an engine had in hand when `until` characters of its
    journal were written, and did not finish afterwards: those whose answer had begun, and those whose answer had not.
    """
    state: dict[str, str] = {}
    at = 0
    for line in journal.splitlines(keepends=True):
        event, _, name = line.rstrip("\n").partition(" ")
        # After that moment a request is given up because the engine ends, not because its client left.
        if event != "gone" or at < until:
            state[name.rpartition(".")[0]] = event
        at += len(line)
    return ({name for name, event in state.items() if event == "first"},
            {name for name, event in state.items() if event == "begin"})


@dataclass
class Engine:
    number: int
    folder: pathlib.Path
    binary: pathlib.Path
    port: int = 0
    lives: list[Incarnation] = field(default_factory=list)
    busy: bool = False  # something is being done to it

    @property
    def name(self) -> str:
        return f"e{self.number}"

    @property
    def now(self) -> Incarnation:
        return self.lives[-1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, speed: float = SPEED) -> None:
        life = len(self.lives) + 1
        ready, journal = (self.folder / f"{self.name}.{life}.{end}" for end in ("ready", "journal"))
        command = [self.binary, "engine", "--model", "sim", *ENGINE_FLAGS, "--speed", speed, "--seed", self.number, "--listen",
                   f"127.0.0.1:{self.port}", "--ready-file", ready, "--journal", journal]
        program = Program(f"{self.name}.{life}", command, self.folder)
        self.port = int(program.wait_json(ready)["urls"][0].rpartition(":")[2])
        self.lives.append(Incarnation(program, journal))

    def end(self, how: int = signal.SIGKILL) -> None:
        self.now.killed_at = self.now.journal.stat().st_size if self.now.journal.exists() else 0
        self.now.program.signal(how)
        self.now.program.wait()

    def freeze(self) -> None:
        self.now.program.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.now.program.signal(signal.SIGCONT)


class World:
    """A router before `count` engines of one pool; ended with the block."""

    def __init__(self, folder: pathlib.Path, binary: pathlib.Path, count: int, pool: dict, **settings: object):
        os.environ["INFERMESH_BIN"] = str(binary)
        self.folder, self.binary = folder, binary
        self.engines = [Engine(i + 1, folder, binary) for i in range(count)]
        self.pool, self.settings = pool, settings
        self.mesh: Mesh | None = None

    def __enter__(self) -> World:
        try:
            for one in self.engines:
                one.start()
            self.start_router()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start_router(self) -> None:
        objects = self.folder / "router" / "objects"
        objects.mkdir(parents=True)
        named = [engine(one.name, one.url, pool="all") for one in self.engines]
        documents = [*named, {"kind": "Pool", "name": "all", "spec": self.pool}]
        (objects / "mesh.yaml").write_text("---\n".join(json.dumps(document) + "\n" for document in documents))
        self.mesh = Mesh(self.folder / "router", "run", [], {"objects": objects, "access_log": "off", "log_level": "warn",
                                                             "drain_timeout": "5s", "poll_interval_max": "500ms",
                                                             **self.settings})
        self.mesh.wait_ready(len(self.engines))

    def __exit__(self, *_: object) -> None:
        for one in self.engines:
            for life in one.lives:
                if life.program.running():
                    life.program.signal(signal.SIGCONT)
                life.program.kill()
        if self.mesh is not None:
            self.mesh.program.kill()

    # ---- looking
    def rss_mib(self) -> float:
        pages = int(pathlib.Path(f"/proc/{self.mesh.program.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.mesh.program.pid}/fd"))

    def gauges(self) -> dict[str, float]:
        """What must be 0 when nobody asks for anything."""
        return {"client connections": self.mesh.metric("infermesh_connections"),
                "requests in flight": self.mesh.metric("infermesh_in_flight"),
                "requests queued": self.mesh.metric("infermesh_queue_length")}

    def settled(self, within: float = 15) -> dict[str, float]:
        """The gauges once they are 0, or as they are after `within` seconds."""
        end = time.monotonic() + within
        while any((found := self.gauges()).values()) and time.monotonic() < end:
            time.sleep(0.1)
        return found

    def journals(self) -> tuple[set[str], set[str]]:
        """What engines had begun to answer when they were killed; and what living ones never let go of."""
        lost, stuck = set(), set()
        for one in self.engines:
            for life in one.lives:
                begun, waiting = life.told()
                if life.killed_at is not None:
                    lost |= begun
                else:
                    stuck |= begun | waiting
        return lost, stuck

    def stop_router(self) -> int:
        return self.mesh.program.stop()


def count_of(items) -> str:
    """`3 a, 1 b`, the most frequent first."""
    return ", ".join(f"{count:,} {name}" for name, count in collections.Counter(items).most_common())


__all__ = ["World", "Engine", "count_of", "eventually", "find_binary", "in_hand", "SLOTS", "ROOT"]
