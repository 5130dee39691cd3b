"""What the benchmark knows of processes and the machine: trees, memory, the generator, versions. Linux."""
from __future__ import annotations

import contextlib
import json
import os
import pathlib
import platform
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROXY_CORE, LOAD_CORE = 1, 0
CHAT = json.dumps({"model": "mock-model", "messages": [{"role": "user", "content": "are you there"}], "max_tokens": 32})


class Failed(Exception):
    """One measurement of one peer came to nothing; the rest goes on."""


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for task in found:
        with contextlib.suppress(OSError):
            for thread in pathlib.Path(f"/proc/{task}/task").iterdir():
                found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def status_kib(text: str, field: str) -> int:
    """A size in /proc/PID/status; 0 when it is not there."""
    found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found.group(1)) if found else 0


def memory_kib(pid: int, field: str = "VmRSS") -> int:
    """VmRSS (now) or VmHWM (highest) of a process tree."""
    total = 0
    for task in tree(pid):
        with contextlib.suppress(OSError):
            total += status_kib(pathlib.Path(f"/proc/{task}/status").read_text(), field)
    return total


def allow_many_files() -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Process:
    """A child on one core, output in a log file, ended with the block it was made for."""

    def __init__(self, command: Sequence[str], core: int, log: pathlib.Path, stdin=subprocess.DEVNULL):
        self.log = log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(command, stdin=stdin, stdout=out, stderr=out, start_new_session=True,
                                            preexec_fn=lambda: os.sched_setaffinity(0, {core}))

    @property
    def pid(self) -> int:
        return self.process.pid

    def check(self) -> None:
        if (code := self.process.poll()) is not None:
            last = self.log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
            raise Failed(f"ended with {code}: {last[0][:200]}")

    def stop(self) -> None:
        """Peers drain for as long as they like; nobody waits for that here."""
        tasks = tree(self.pid)
        self.process.terminate()
        try:
            self.process.wait(1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for task in tasks[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(task, 9)


def answers(port: int, within: float = 0.5) -> bool:
    """Whether a chat request is served. Raw, for a client library would be slower than what is timed."""
    request = (f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
               f"connection: close\r\ncontent-length: {len(CHAT)}\r\n\r\n{CHAT}")
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), within) as client:
        client.settimeout(within)
        client.sendall(request.encode())
        return client.recv(4096).startswith(b"HTTP/1.1 200")
    return False


def wait_served(process: Process, port: int, within: float = 20) -> None:
    """Until the first request is served."""
    end = time.monotonic() + within
    while not answers(port):
        process.check()
        if time.monotonic() > end:
            raise Failed(f"served nothing within {within:.0f} s")
        time.sleep(0.0005)


def read_result(text: str) -> dict:
    """The generator's line; a run with errors is no figure."""
    lines = [line for line in text.splitlines() if line.startswith("{")]
    if not lines:
        raise Failed("the generator said nothing")
    result = json.loads(lines[-1])
    if result["errors"]:
        raise Failed(f"{result['errors']} errors ({result['why']})")
    if not result["requests"] and not result["events"]:
        raise Failed("nothing was answered within the window")
    return result


class Tools:
    """mock_engine and load_gen as built, the load core for both."""

    def __init__(self, build: pathlib.Path, folder: pathlib.Path):
        self.build, self.folder = build, folder

    @contextlib.contextmanager
    def engines(self, count: int = 4, metrics: pathlib.Path | None = None) -> Iterator[list[int]]:
        said = self.folder / f"mock-{count}.out"
        said.unlink(missing_ok=True)
        command = [str(self.build / "mock_engine"), "--ports", ",".join(["0"] * count)]
        mock = Process(command + (["--metrics-file", str(metrics)] if metrics else []), LOAD_CORE, said)
        try:
            end = time.monotonic() + 5
            while not (text := said.read_text()).endswith("\n"):
                mock.check()
                if time.monotonic() > end:
                    raise SystemExit("the mock engines did not start within 5 s")
                time.sleep(0.005)
            yield [int(port) for port in text.split(",")]
        finally:
            mock.stop()

    def generator(self, flags: Sequence[object]) -> list[str]:
        return ["taskset", "-c", str(LOAD_CORE), str(self.build / "load_gen"), *map(str, flags)]

    def load(self, port: int, flags: Sequence[object], limit: float = 60) -> dict:
        try:
            done = subprocess.run(self.generator(["--port", port, *flags]), capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            raise Failed(f"no end within {limit:.0f} s") from None
        if not done.stdout:
            raise Failed(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"generator: {done.returncode}")
        return read_result(done.stdout)


def first_line(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ((done.stdout + done.stderr).strip().splitlines() or [""])[0]


def stripped_mb(path: pathlib.Path) -> float:
    """Size of a binary without its symbols, in MB."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "stripped"
        done = subprocess.run(["strip", "-o", str(copy), str(path)], capture_output=True)
        return (copy if done.returncode == 0 else path).stat().st_size / 1e6


def describe() -> str:
    """The machine in one line, without its name."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = status_kib(pathlib.Path("/proc/meminfo").read_text(), "MemTotal") / 2**20
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return (f"{cpu.group(1).strip() if cpu else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, {system}, "
            f"kernel {platform.release().partition('-')[0]}")
