"""Who is measured, how each is started and where its binary is. Every peer gets four engines and one core; logs at warning
level, access logs off, everything else as it comes. Command lines follow each project's own documentation.
"""
from __future__ import annotations

import importlib.metadata
import pathlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import machine

VENVS = machine.ROOT / "build/bench"
INFERMESH = "infermesh"


@dataclass(frozen=True)
class Setting:
    """What a peer is started with."""
    folder: pathlib.Path
    engines: list[int]
    port: int
    infermesh: pathlib.Path

    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.engines]


@dataclass(frozen=True)
class Peer:
    name: str
    program: str  # of which it is a variant
    command: Callable[[Setting], list[str]]
    llm: bool = False  # a router for language models, not a plain proxy


def nginx(setting: Setting) -> list[str]:
    folder, servers = setting.folder, " ".join(f"server 127.0.0.1:{port};" for port in setting.engines)
    config = folder / "nginx.conf"
    config.write_text(f"""daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; client_max_body_size 64m; client_body_buffer_size 256k;
  client_body_temp_path {folder}/nginx-body; proxy_temp_path {folder}/nginx-proxy; fastcgi_temp_path {folder}/nginx-fastcgi;
  uwsgi_temp_path {folder}/nginx-uwsgi; scgi_temp_path {folder}/nginx-scgi;
  upstream engines {{ {servers} keepalive 1024; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{setting.port}; location / {{ proxy_pass http://engines; proxy_http_version 1.1;
    proxy_set_header Connection ''; proxy_buffering off; }} }} }}
""")
    return ["nginx", "-c", str(config)]


def haproxy(setting: Setting) -> list[str]:
    servers = "\n".join(f"  server e{i} 127.0.0.1:{port} check" for i, port in enumerate(setting.engines))
    config = setting.folder / "haproxy.cfg"
    config.write_text(f"""global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  option http-keep-alive
  option http-no-delay
frontend front
  bind 127.0.0.1:{setting.port}
  default_backend engines
backend engines
  balance roundrobin
  http-reuse always
  option httpchk GET /health
{servers}
""")
    return ["haproxy", "-db", "-f", str(config)]


def python_router(program: str, start: list[str], policy: str, more: list[str]) -> Callable[[Setting], list[str]]:
    def command(setting: Setting) -> list[str]:
        metrics = machine.free_ports(1)[0]
        return [str(VENVS / program / "bin" / start[0]), *start[1:], "--host", "127.0.0.1", "--port", str(setting.port),
                "--worker-urls", *setting.urls(), "--policy", policy, "--prometheus-host", "127.0.0.1",
                "--prometheus-port", str(metrics), *more]

    return command


def infermesh_command(setting: Setting, policy: str = "expected_latency") -> list[str]:
    """Everything on: body facts, prefix hashes, admission, metrics, decision records."""
    command = [str(setting.infermesh), "run", "--listen", f"127.0.0.1:{setting.port}", "--admin-listen", "127.0.0.1:0",
               "--shards", "1", "--access-log", "off", "--log-level", "warn", "--default-policy", policy]
    for url in setting.urls():
        command += ["--engine", url]
    return command


LLM_ROUTERS = {
    "smg": (["smg", "launch"], ["--log-level", "warn", "--disable-tokenizer-autoload"]),
    "vllm-router": (["vllm-router"], ["--log-level", "warning"]),
    "sglang-router": (["python", "-m", "sglang_router.launch_router"], ["--log-level", "warn"]),
}
PEERS = [
    Peer(INFERMESH, INFERMESH, infermesh_command),
    Peer("nginx", "nginx", nginx),
    Peer("haproxy", "haproxy", haproxy),
    *(Peer(f"{program} {policy}", program, python_router(program, start, policy, more), llm=True)
      for program, (start, more) in LLM_ROUTERS.items() for policy in ("round_robin", "cache_aware")),
]
QUICK = [INFERMESH, "nginx"]


def missing(program: str, infermesh: pathlib.Path) -> str:
    """Why a program cannot be measured; empty when it can."""
    if program == INFERMESH:
        return "" if infermesh.exists() else "not built: make build"
    if program not in LLM_ROUTERS:
        return "" if shutil.which(program) else "not installed: tools/setup.sh bench"
    if (VENVS / program / "bin" / LLM_ROUTERS[program][0][0]).exists():
        return ""
    reason = VENVS / f"{program}.reason"
    return reason.read_text().strip() if reason.exists() else "not installed: tools/setup.sh bench"


def version(program: str, infermesh: pathlib.Path) -> str:
    if program in LLM_ROUTERS:
        for site in (VENVS / program).glob("lib/python*/site-packages"):
            for found in importlib.metadata.distributions(name=program, path=[str(site)]):
                return found.version
        return ""
    flags = {INFERMESH: [str(infermesh), "version"], "nginx": ["nginx", "-v"], "haproxy": ["haproxy", "-v"]}
    line = machine.first_line(flags[program])
    found = re.search(r"\d+\.\d+[\w.+-]*", line)
    commit = re.search(r"\(([0-9a-f]{7,})", line)
    return (found.group(0) if found else line) + (f" ({commit.group(1)})" if commit else "")


def binary(program: str, infermesh: pathlib.Path) -> pathlib.Path | None:
    """What holds the program: an executable, or the largest library of its own in a wheel."""
    if program == INFERMESH:
        return infermesh
    if program not in LLM_ROUTERS:
        found = shutil.which(program)
        return pathlib.Path(found).resolve() if found else None
    libraries = (VENVS / program).glob("lib/python*/site-packages/**/*_rs*.so")
    return max(libraries, key=lambda path: path.stat().st_size, default=None)
