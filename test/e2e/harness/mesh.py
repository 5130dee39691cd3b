"""The real `infermesh` process: started with ephemeral ports, asked over HTTP and by its own
command line.
"""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import time

import yaml

from .process import Program, clean_environment, find_binary
from .wait import DEADLINE, eventually
from .wire import Answer, Wire, address_of, call

Object = dict


def engine(name: str, url: str, **spec: object) -> Object:
    return {"kind": "Engine", "name": name, "spec": {"url": url, **spec}}


def pool(name: str, engines: list[str], **spec: object) -> Object:
    return {"kind": "Pool", "name": name, "spec": {"engines": engines, **spec}}


def model(name: str, pool_name: str, **spec: object) -> Object:
    return {"kind": "Model", "name": name, "spec": {"pool": pool_name, **spec}}


def policy(name: str, kind: str, **spec: object) -> Object:
    return {"kind": "RoutingPolicy", "name": name, "spec": {"policy": kind, **spec}}


def write_objects(path: pathlib.Path, objects: list[Object]) -> None:
    """Replaces the file in one step, as an editor or a deployment does."""
    part = path.with_suffix(".part")
    part.write_text(yaml.safe_dump_all(objects, sort_keys=False))
    part.rename(path)


def flags_of(settings: dict[str, object]) -> list[str]:
    flags = []
    for name, value in settings.items():
        flags += ["--" + name.replace("_", "-"), str(value)]
    return flags


class Mesh:
    """One running router. `address` takes inference, `admin` the admin API."""

    def __init__(
        self,
        folder: pathlib.Path,
        verb: str,
        arguments: list[str],
        settings: dict[str, object],
        env: dict[str, str] | None = None,
    ):
        self.folder = folder
        self.objects_path = folder / "objects" / "mesh.yaml"
        ready = folder / "ready.json"
        fixed = {"listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0", "ready_file": ready}
        self.program = Program(
            folder.name,
            [str(find_binary()), verb, *arguments, *flags_of({**fixed, **settings})],
            folder,
            env,
        )
        self.ready = self.program.wait_json(ready)
        self.address = address_of(self.ready["listen"])
        self.admin = address_of(self.ready["admin"])
        self.url = f"http://{self.ready['listen']}"
        self.admin_url = f"http://{self.ready['admin']}"

    # ---- traffic
    def wire(self, **options: int) -> Wire:
        return Wire(self.address, **options)

    def get(self, target: str, **options: object) -> Answer:
        return call(self.address, "GET", target, **options)

    def post(self, target: str, body: bytes | dict | list, **options: object) -> Answer:
        return call(self.address, "POST", target, body, **options)

    def chat(
        self,
        content: str = "hello",
        model: str = "m",
        within: float = DEADLINE,
        headers: dict[str, str] | None = None,
        **fields: object,
    ) -> Answer:
        body = {"model": model, "messages": [{"role": "user", "content": content}], **fields}
        return self.post("/v1/chat/completions", body, headers=headers, within=within)

    # ---- admin
    def ask(self, target: str, method: str = "GET", body: bytes | dict = b"") -> Answer:
        return call(self.admin, method, target, body)

    def status(self) -> dict:
        return self.ask("/api/status").json()

    def engines(self) -> dict[str, dict]:
        return {found["name"]: found for found in self.ask("/api/engines").json()["engines"]}

    def engine_state(self, name: str) -> str:
        return self.engines().get(name, {}).get("state", "absent")

    def wait_ready(self, count: int, within: float = DEADLINE) -> None:
        """Until `count` engines are ready."""

        def ready() -> bool:
            return self.status()["engines"]["ready"] >= count

        eventually(ready, f"{count} engines are ready", within)

    def wait_state(self, name: str, state: str, within: float = DEADLINE) -> None:
        eventually(lambda: self.engine_state(name) == state, f"engine {name} is {state}", within)

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics: name with its labels as written -> value."""
        answer = self.ask("/metrics")
        assert answer.status == 200
        samples = {}
        for line in answer.body.decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        total = 0.0
        for sample, value in self.metrics().items():
            family, _, rest = sample.partition("{")
            have = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', rest))
            if family == name and all(have.get(key) == want for key, want in labels.items()):
                total += value
        return total

    def decision(self, answer_or_id: Answer | str) -> dict:
        """The record of a request, once it is finished."""
        request_id = (
            answer_or_id if isinstance(answer_or_id, str) else answer_or_id.header("x-request-id")
        )

        def finished() -> dict | None:
            found = self.ask(f"/debug/decisions/{request_id}")
            return found.json() if found.status == 200 and found.json()["finished"] else None

        return eventually(finished, f"request {request_id} has a finished record")

    # ---- objects
    def write(self, objects: list[Object]) -> None:
        write_objects(self.objects_path, objects)

    def generation(self) -> int:
        return self.status()["generation"]

    # ---- command line and process
    def cli(self, *arguments: str, **options: object) -> subprocess.CompletedProcess:
        return run_cli(*arguments, "--admin", self.admin_url, **options)

    def log(self) -> str:
        return self.program.log()

    def stop(self) -> int:
        return self.program.stop()


def run_cli(
    *arguments: str,
    env: dict[str, str] | None = None,
    within: float = DEADLINE,
    cwd: pathlib.Path | None = None,
) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(find_binary()), *arguments],
        capture_output=True,
        text=True,
        timeout=within,
        stdin=subprocess.DEVNULL,
        env=clean_environment(env),
        cwd=cwd,
    )


def timed(work) -> tuple[object, float]:
    started = time.monotonic()
    return work(), time.monotonic() - started


def dumps(value: object) -> bytes:
    return json.dumps(value).encode()
