"""The demonstration: real llama.cpp servers, the router, the official OpenAI client, and one engine
killed on purpose.

    make demo            shows it, stops everything it started, exits 0
    KEEP=1 make demo     leaves it running; make demo-stop ends it

Needs build/release/infermesh, .venv and build/models/tiny.gguf, which `make demo` provides. Logs
go to build/demo. Its test has INFERMESH_BIN, DEMO_FOLDER and fewer DEMO_CONVERSATIONS.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import sys
import time

from processes import (
    BINARY,
    FOLDER,
    KEEP,
    MODEL,
    MODEL_FILE,
    ROOT,
    Children,
    DemoError,
    Engine,
    Mesh,
)
from screen import SCREEN
from sections import show_engines, show_failure, show_mesh, show_summary, show_traffic


def demonstrate(children: Children) -> int:
    started = time.monotonic()
    engines = show_engines(children)
    mesh = show_mesh(children, engines)
    plain, routed = show_traffic(children, engines, mesh)
    lost = show_failure(children, engines, mesh)
    show_summary(plain, routed, lost)
    took = time.monotonic() - started
    if KEEP:
        keep(children, mesh, engines, took)
    else:
        children.stop()
        SCREEN.line(
            f"done in {took:.0f} s. Everything started here is stopped. "
            "KEEP=1 make demo leaves it running."
        )
    return 1 if plain.lost or routed.lost or lost else 0


# ---- keeping it
PIDS = FOLDER / "pids.json"


def keep(children: Children, mesh: Mesh, engines: list[Engine], took: float) -> None:
    PIDS.write_text(json.dumps({child.name: child.process.pid for child in children.alive()}))
    children.all.clear()
    body = json.dumps(
        {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}, separators=(",", ":")
    )
    SCREEN.line(f"done in {took:.0f} s, and left running:")
    for name, text in [
        ("chat", f"curl {mesh.base}/v1/chat/completions \\"),
        ("", f"  -H 'content-type: application/json' -d '{body}'"),
        ("base url", f"{mesh.base}/v1"),
        ("admin", f"{mesh.admin}    infermesh status --admin {mesh.admin}"),
        ("engines", " ".join(engine.url.removeprefix("http://") for engine in engines)),
        ("stop it", "make demo-stop"),
    ]:
        SCREEN.detail(f"{name:<9} {text}")


def is_ours(pid: int) -> bool:
    try:
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"infermesh" in command or b"llama_server.py" in command


def stop_kept() -> int:
    """Ends what an earlier KEEP=1 left running; how many processes that was."""
    if not PIDS.exists():
        return 0
    running = [pid for pid in json.loads(PIDS.read_text()).values() if is_ours(pid)]
    for pid in running:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while any(map(is_ours, running)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in filter(is_ours, running):
        os.kill(pid, signal.SIGKILL)
    PIDS.unlink()
    return len(running)


def main() -> int:
    if sys.argv[1:] == ["--stop"]:
        SCREEN.line(f"{stop_kept()} processes of the demonstration stopped")
        return 0
    for path, verb in ((BINARY, "make build"), (MODEL_FILE, "make build/models/tiny.gguf")):
        if not path.exists():
            SCREEN.line(f"{os.path.relpath(path, ROOT)} is missing; run: {verb}")
            return 2
    stop_kept()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    children = Children()
    try:
        return demonstrate(children)
    except KeyboardInterrupt:
        SCREEN.line("interrupted")
        return 130
    except DemoError as error:
        SCREEN.line(SCREEN.paint("31", "demo failed: ") + str(error))
        return 1
    finally:
        children.stop()


if __name__ == "__main__":
    sys.exit(main())
