"""The processes of the demonstration: llama.cpp servers and routers, started, watched and ended."""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = pathlib.Path(os.environ.get("DEMO_FOLDER", ROOT / "build" / "demo"))
BINARY = pathlib.Path(os.environ.get("INFERMESH_BIN", ROOT / "build" / "release" / "infermesh"))
MODEL_FILE = ROOT / "build" / "models" / "tiny.gguf"
MODEL = "tiny-llama"
ENGINES, SLOTS = 3, 4
DEADLINE = 30.0
KEEP = os.environ.get("KEEP", "") not in ("", "0")


class DemoError(Exception):
    """Something that the demonstration needs went wrong: what, and the next step."""


def clean_environment() -> dict[str, str]:
    """Ours without INFERMESH_*: settings of a mesh of the person's own are not for this one."""
    return {name: value for name, value in os.environ.items() if not name.startswith("INFERMESH_")}


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


@dataclass
class Child:
    name: str
    process: subprocess.Popen
    log: pathlib.Path
    out: pathlib.Path

    def failed(self, what: str) -> DemoError:
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])
        return DemoError(f"{what}\n{tail}\n     the whole log: {self.log.relative_to(ROOT)}")

    def until(self, condition, what: str):
        """The first true value of `condition` while the process lives."""
        deadline = time.monotonic() + DEADLINE
        while not (value := condition()):
            if self.process.poll() is not None:
                raise self.failed(f"{self.name} ended with exit code {self.process.returncode}")
            if time.monotonic() > deadline:
                raise self.failed(f"{self.name}: {what} took longer than {DEADLINE:.0f} s")
            time.sleep(0.01)
        return value


class Children:
    """Everything started here. With KEEP it is left alone when all went well."""

    def __init__(self) -> None:
        self.all: list[Child] = []

    def start(self, name: str, command: list[object]) -> Child:
        log, out = FOLDER / f"{name}.log", FOLDER / f"{name}.out"
        # Kept processes get a session of their own: the terminal's Ctrl-C must not reach them.
        options = {"start_new_session": True} if KEEP else {"preexec_fn": die_with_parent}
        with open(log, "ab") as errors, open(out, "wb") as output:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=clean_environment(),
                **options,
            )
        child = Child(name, process, log, out)
        self.all.append(child)
        return child

    def alive(self) -> list[Child]:
        return [child for child in self.all if child.process.poll() is None]

    def stop(self) -> None:
        for child in reversed(self.alive()):
            child.process.terminate()
        for child in self.all:
            try:
                child.process.wait(5)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()


# ---- engines and routers
@dataclass
class Engine:
    child: Child
    url: str
    name: str = ""  # as the router calls it


def start_engine(children: Children, number: int, port: int = 0) -> Child:
    options = f"--alias {MODEL} --port {port} --parallel {SLOTS} --ctx {2048 * SLOTS} --threads 1"
    command = [sys.executable, ROOT / "tools" / "llama_server.py", MODEL_FILE, *options.split()]
    return children.start(f"llama{number}", command + ["--outlive-parent"] * KEEP)


def engine_url(child: Child) -> str:
    return json.loads(child.until(lambda: child.out.read_text().strip(), "starting"))["url"]


@dataclass
class Mesh:
    child: Child
    base: str
    admin: str

    def ask(self, target: str) -> dict:
        with urllib.request.urlopen(self.admin + target, timeout=5) as answer:
            return json.load(answer)

    def engines(self) -> list[dict]:
        return self.ask("/api/engines")["engines"]

    def wait_ready(self, count: int) -> None:
        def ready() -> bool:
            try:
                return self.ask("/api/status")["engines"]["ready"] >= count
            except OSError:
                return False

        self.child.until(ready, f"{count} engines becoming ready")

    def decision(self, request_id: str) -> dict | None:
        """The finished record of a request; none when it is not to be had."""
        for _ in range(50):
            try:
                record = self.ask(f"/debug/decisions/{request_id}")
            except urllib.error.HTTPError:
                return None
            if record["finished"]:
                return record
            time.sleep(0.004)
        return record


def start_mesh(children: Children, name: str, engines: list[Engine], policy: str) -> Mesh:
    ready = FOLDER / f"{name}.ready"
    ready.unlink(missing_ok=True)
    command = [
        BINARY,
        "up",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--ready-file",
        ready,
        "--default-policy",
        policy,
    ]
    for engine in engines:
        command += ["--engine", engine.url]
    child = children.start(name, command)
    child.until(lambda: ready.exists() and ready.read_text().strip().endswith("}"), "starting")
    bound = json.loads(ready.read_text())
    mesh = Mesh(child, f"http://{bound['listen']}", f"http://{bound['admin']}")
    mesh.wait_ready(len(engines))
    return mesh
