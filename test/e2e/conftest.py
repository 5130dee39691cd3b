"""Fixtures: the mesh, real llama.cpp servers, simulated engines, scripted engines. Everything is
stopped after a test.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import sys
from typing import Callable, Iterator

import pytest
from harness import kserve
from harness.fake_engine import FakeEngine
from harness.mesh import Mesh, engine, write_objects
from harness.process import ROOT, Program, find_binary
from harness.wait import eventually

LOGS = pytest.StashKey[list]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for program in item.stash.get(LOGS, []):
            report.sections.append((f"log of {program.name}", program.log()[-6000:] or "(empty)"))
    return report


@pytest.fixture
def programs(request) -> Iterator[list[Program]]:
    """Every child process of the test; they are ended and looked at when it is over."""
    started: list[Program] = []
    request.node.stash[LOGS] = started
    yield started
    for program in started:
        program.stop()
    for program in started:
        report = program.sanitizer_report()
        assert not report, f"{program.name}: {report}"
        code = program.process.returncode
        assert code in (0, -9, *program.codes), (
            f"{program.name} ended with {code}, not 0:\n{program.log()[-2000:]}"
        )


class Start:
    """Starts routers: start.up(URL...) without objects, start.run([objects]) with them."""

    def __init__(self, folder: pathlib.Path, programs: list[Program]):
        self.folder = folder
        self.programs = programs
        self.count = 0

    def make(
        self,
        verb: str,
        arguments: list[str],
        settings: dict[str, object],
        objects: list | None = None,
        env: dict[str, str] | None = None,
    ) -> Mesh:
        self.count += 1
        folder = self.folder / f"mesh{self.count}"
        (folder / "objects").mkdir(parents=True)
        if objects is not None:
            write_objects(folder / "objects" / "mesh.yaml", objects)
            settings = {"objects": folder / "objects", **settings}
        settings = {
            "drain_timeout": "2s",
            "poll_interval_min": "20ms",
            "poll_interval_max": "200ms",
            "objects_interval": "50ms",
            **settings,
        }
        mesh = Mesh(folder, verb, arguments, settings, env)
        self.programs.append(mesh.program)
        return mesh

    def up(self, *urls: str, **settings: object) -> Mesh:
        arguments = [part for url in urls for part in ("--engine", url)]
        mesh = self.make("up", arguments, settings)
        mesh.wait_ready(len(urls))
        return mesh

    def run(
        self,
        objects: list,
        ready: int | None = None,
        env: dict[str, str] | None = None,
        **settings: object,
    ) -> Mesh:
        mesh = self.make("run", [], settings, objects, env)
        mesh.wait_ready(
            sum(found["kind"] == "Engine" for found in objects) if ready is None else ready
        )
        return mesh


@pytest.fixture
def start(tmp_path, programs) -> Start:
    return Start(tmp_path, programs)


@pytest.fixture
def fake() -> Iterator[Callable[..., FakeEngine]]:
    """Makes scripted engines."""
    made: list[FakeEngine] = []

    def make(*models: str, port: int = 0, tls: object = None) -> FakeEngine:
        made.append(FakeEngine(models or ("m",), port, tls))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def routed(start, fake) -> Callable[..., tuple]:
    """One router before `count` scripted engines e1, e2, ... of model m: (mesh, engines)."""

    def make(
        count: int = 1,
        objects: list | None = None,
        models: tuple[str, ...] = ("m",),
        **settings: object,
    ):
        engines = [fake(*models) for _ in range(count)]
        named = [engine(f"e{i + 1}", found.url) for i, found in enumerate(engines)]
        mesh = start.run(named + (objects or []), **settings)
        return (mesh, engines[0]) if count == 1 else (mesh, engines)

    return make


@pytest.fixture
def sim_engine(tmp_path, programs) -> Callable[..., str]:
    """Starts `infermesh engine` and gives its URL (or URLs, with count)."""

    def make(*flags: str, model: str = "sim", count: int = 1):
        number = len(programs)
        ready = tmp_path / f"engine{number}.json"
        command = [
            str(find_binary()),
            "engine",
            "--model",
            model,
            "--listen",
            "127.0.0.1:0",
            "--ready-file",
            str(ready),
        ]
        program = Program(
            f"engine{number}",
            command + (["--count", str(count)] if count > 1 else []) + list(flags),
            tmp_path,
        )
        programs.append(program)
        urls = program.wait_json(ready)["urls"]
        make.programs.append(program)
        return urls[0] if count == 1 else urls

    make.programs = []
    return make


# ---- real engines
@pytest.fixture(scope="session")
def kserve_server(tmp_path_factory) -> Iterator[Callable[[str], kserve.KserveServer]]:
    """A real Triton ("triton") or MLServer ("mlserver"), started when first wanted."""
    started: dict[str, kserve.KserveServer] = {}
    make = {"triton": kserve.start_triton, "mlserver": kserve.start_mlserver}

    def get(kind: str) -> kserve.KserveServer:
        if kind not in started:
            started[kind] = make[kind](tmp_path_factory.mktemp(kind))
        return started[kind]

    yield get
    for server in started.values():
        server.program.stop()


MODEL = ROOT / "build" / "models" / "tiny.gguf"


class Llama:
    """One llama.cpp server."""

    def __init__(self, name: str, folder: pathlib.Path, *flags: str):
        if not MODEL.exists():
            pytest.fail(f"{MODEL} is missing; run: make build/models/tiny.gguf")
        script = ROOT / "tools" / "llama_server.py"
        self.program = Program(
            name, [sys.executable, str(script), str(MODEL), "--threads", "1", *flags], folder
        )

    def wait(self) -> "Llama":
        def said() -> str | None:
            assert self.program.running(), self.program.log()[-3000:]
            return self.program.out().strip() or None

        self.url = json.loads(eventually(said, f"{self.program.name} serves", within=60))["url"]
        return self


@pytest.fixture(scope="session")
def llama(tmp_path_factory) -> Iterator[list[str]]:
    """The URLs of two real llama.cpp servers with the same model, tiny-llama."""
    with llama_servers(tmp_path_factory.mktemp("llama"), 2) as servers:
        yield [server.url for server in servers]


@pytest.fixture(scope="session")
def llama_embeddings(tmp_path_factory) -> Iterator[str]:
    """The URL of a real llama.cpp server for embeddings, tiny-embed."""
    folder = tmp_path_factory.mktemp("llama-embeddings")
    with llama_servers(folder, 1, "--alias", "tiny-embed", "--embeddings") as servers:
        yield servers[0].url


@pytest.fixture
def own_llama(tmp_path) -> Iterator[Callable[..., list[Llama]]]:
    """Starts llama.cpp servers that the test may kill."""
    with contextlib.ExitStack() as stack:
        yield lambda count=1, *flags: stack.enter_context(llama_servers(tmp_path, count, *flags))


@contextlib.contextmanager
def llama_servers(folder: pathlib.Path, count: int, *flags: str) -> Iterator[list[Llama]]:
    servers = [Llama(f"llama{i + 1}", folder, *flags) for i in range(count)]
    try:
        yield [server.wait() for server in servers]
    finally:
        for server in servers:
            server.program.kill()
