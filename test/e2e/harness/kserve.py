"""Real KServe v2 servers: Triton (of the nvidia-pytriton wheel) and MLServer, from .venv-kserve, with
the models of test/e2e/kserve. Where their packages could not be installed, the tests are skipped.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

from .process import ROOT, Program
from .wait import eventually

VENV = ROOT / ".venv-kserve"
MODELS = pathlib.Path(__file__).resolve().parents[1] / "kserve"
START_LIMIT = 60.0


def python_of_venv() -> pathlib.Path:
    python = VENV / "bin" / "python"
    if not (VENV / "requirements.stamp").exists():
        pytest.skip("Triton and MLServer are not installed: tools/setup.sh kserve")
    return python


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now. The servers cannot be told to choose their own."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def ask(python: pathlib.Path, code: str) -> str:
    return subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


class KserveServer:
    """One running server with HTTP on `port`, gRPC on `grpc`, metrics on `metrics`."""

    def __init__(self, name: str, program: Program, ports: tuple[int, int, int]):
        self.name, self.program = name, program
        self.port, self.grpc, self.metrics = ports
        self.url = f"http://127.0.0.1:{self.port}"
        self.grpc_url = f"http://127.0.0.1:{self.grpc}"

    def ready(self) -> bool:
        assert self.program.running(), f"{self.name} ended: {self.program.log()[-3000:]}"
        try:
            return urllib.request.urlopen(f"{self.url}/v2/health/ready", timeout=5).status == 200
        except (urllib.error.URLError, OSError):
            return False


def start_triton(folder: pathlib.Path, name: str = "triton") -> KserveServer:
    python = python_of_venv()
    package = pathlib.Path(
        ask(python, "import importlib.util as u; print(u.find_spec('pytriton').submodule_search_locations[0])")
    )
    version = ask(python, "import sys; print('%d.%d' % sys.version_info[:2])")
    base = ask(python, "import sys; print(sys.base_prefix)")
    backends = folder / f"{name}-backends"
    shutil.copytree(package / "tritonserver" / "backends" / "python", backends / "python")
    # The stub that runs a model must be of this Python's version and beside the backend.
    stub = package / "tritonserver" / "python_backend_stubs" / version / "triton_python_backend_stub"
    shutil.copy(stub, backends / "python")
    http, grpc, metrics = free_ports(3)
    command = [
        package / "tritonserver" / "bin" / "tritonserver",
        f"--model-repository={MODELS / 'triton'}",
        f"--backend-directory={backends}",
        "--allow-gpu-metrics=false",
        "--exit-timeout-secs=2",
        "--model-control-mode=explicit",  # models can be loaded and unloaded
        "--load-model=*",
    ]
    for kind, port in (("http", http), ("grpc", grpc), ("metrics", metrics)):
        command += [f"--{kind}-address=127.0.0.1", f"--{kind}-port={port}"]
    environment = {
        "PATH": f"{VENV / 'bin'}:/usr/bin:/bin",
        "LD_LIBRARY_PATH": f"{base}/lib:{package.parent / 'nvidia_pytriton.libs'}",
        "PYTHONPATH": ask(python, "import site; print(site.getsitepackages()[0])"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    server = KserveServer(name, Program(name, command, folder, environment), (http, grpc, metrics))
    eventually(server.ready, "Triton is ready", START_LIMIT)
    return server


def start_mlserver(folder: pathlib.Path, name: str = "mlserver") -> KserveServer:
    python = python_of_venv()
    repository = folder / f"{name}-models"
    shutil.copytree(MODELS / "mlserver", repository)
    http, grpc, metrics = free_ports(3)
    settings = {
        "host": "127.0.0.1",
        "http_port": http,
        "grpc_port": grpc,
        "metrics_port": metrics,
        "parallel_workers": 0,
    }
    (repository / "settings.json").write_text(json.dumps(settings))
    program = Program(
        name, [VENV / "bin" / "mlserver", "start", repository], folder, {"PWD": str(repository)}
    )
    server = KserveServer(name, program, (http, grpc, metrics))
    eventually(server.ready, "MLServer is ready", START_LIMIT)
    return server
