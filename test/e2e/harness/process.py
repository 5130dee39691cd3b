"""Child processes: started with a log file, ended for certain, their log shown when a test
fails.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess

from .wait import DEADLINE, eventually

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Ends a child with us. Not by a function between fork and exec: threads of client libraries
# (gRPC's) do not survive a fork.
WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")
SANITIZER_WORDS = ("Sanitizer", "runtime error:")


def find_binary() -> pathlib.Path:
    named = os.environ.get("INFERMESH_BIN")
    tried = (
        [pathlib.Path(named)]
        if named
        else [ROOT / "build" / kind / "infermesh" for kind in ("release", "dev")]
    )
    for path in tried:
        if path.exists():
            return path.resolve()
    raise FileNotFoundError(f"no infermesh at {' or '.join(map(str, tried))}; run: make dev")


def clean_environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """Ours without INFERMESH_*: every such variable is a setting, and an unknown one an error."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INFERMESH_")}
    return {**kept, **(more or {})}


def resident_bytes(pid: int) -> int:
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) << 10


class Program:
    """One child process. stdout and stderr go to files under `folder`."""

    def __init__(
        self, name: str, command: list[str], folder: pathlib.Path, env: dict[str, str] | None = None
    ):
        self.name = name
        self.codes: tuple[int, ...] = ()  # exit codes that are right besides 0
        self.command = [str(part) for part in command]
        self.out_path = folder / f"{name}.out"
        self.log_path = folder / f"{name}.log"
        with open(self.out_path, "wb") as out, open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*WITH_PARENT, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env=clean_environment(env),
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def out(self) -> str:
        return self.out_path.read_text(errors="replace")

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def running(self) -> bool:
        return self.process.poll() is None

    def wait_json(self, path: pathlib.Path) -> dict:
        """The content of a ready file, once it is whole."""

        def read() -> dict | None:
            if not self.running():
                raise AssertionError(
                    f"{self.name} ended with {self.process.returncode}: {self.log()[-4000:]}"
                )
            try:
                return json.loads(path.read_text())
            except (FileNotFoundError, ValueError):
                return None

        return eventually(read, f"{self.name} writes {path.name}")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.running():
            self.process.kill()
        self.process.wait()

    def wait(self, within: float = DEADLINE) -> int:
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.name} (pid {self.pid}) still runs after {within:g} s"
            ) from None

    def stop(self) -> int:
        """Ends it politely, then by force; returns its exit code."""
        if self.running():
            self.process.terminate()
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def sanitizer_report(self) -> str:
        log = self.log()
        found = [log.find(word) for word in SANITIZER_WORDS if word in log]
        return log[max(0, min(found) - 200) :][:6000] if found else ""
