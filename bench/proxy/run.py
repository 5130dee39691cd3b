#!/usr/bin/env python3
"""What a proxied request costs: infermesh beside nginx, in one run, on one core.

    bench/proxy/run.py [--binary build/release/infermesh] [--seconds 2] [--repeats 3] [-o FILE.md]

The proxy under test is pinned to core 1; the engine (an nginx that answers at once) and the load
generator (wrk, keep-alive, closed loop) share core 0. The figure is CPU time: user + system of the
proxy's process tree over exactly the measured window, divided by the requests answered in it. Medians
of the repeats. Loopback only.
"""
from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TICK = os.sysconf("SC_CLK_TCK")
ANSWER = json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [
    {"index": 0, "message": {"role": "assistant", "content": "x" * 180}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 100, "completion_tokens": 32, "total_tokens": 132}})
MODELS = json.dumps({"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "bench"}]})
CASES = {"1 KB": (1_000, 32), "32 KB": (32_000, 16), "200 KB": (200_000, 16)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_seconds(pid: int) -> float:
    """User + system time of a process and its children, in 10 ms ticks."""
    total = 0
    for task in [pid, *children(pid)]:
        with contextlib.suppress(FileNotFoundError):
            fields = pathlib.Path(f"/proc/{task}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICK


def children(pid: int) -> list[int]:
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def rss_mib(pid: int) -> float:
    pages = 0
    for task in [pid, *children(pid)]:
        pages += int(pathlib.Path(f"/proc/{task}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def wait_http(url: str, seconds: float = 10, expect: bytes = b"") -> None:
    """Until the answer holds `expect`: a router lists its model once an engine has been probed."""
    end = time.monotonic() + seconds
    while True:
        try:
            if expect in urllib.request.urlopen(url, timeout=1).read():
                return
        except OSError:
            pass
        if time.monotonic() > end:
            raise SystemExit(f"{url} did not answer as expected within {seconds:.0f} s")
        time.sleep(0.02)


def nginx(folder: pathlib.Path, name: str, core: int, body: str) -> subprocess.Popen:
    config = folder / f"{name}.conf"
    config.write_text(
        f"daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log {folder}/{name}.log;\n"
        "events { worker_connections 4096; }\n"
        "http { access_log off; keepalive_requests 1000000; client_max_body_size 64m; client_body_buffer_size 256k;\n"
        f"client_body_temp_path {folder}/{name}-body; proxy_temp_path {folder}/{name}-proxy;\n"
        f"fastcgi_temp_path {folder}/{name}-f; uwsgi_temp_path {folder}/{name}-u; scgi_temp_path {folder}/{name}-s;\n"
        f"{body}\n}}\n")
    return subprocess.Popen(["taskset", "-c", str(core), "nginx", "-c", str(config)])


def engines(folder: pathlib.Path, ports: list[int]) -> subprocess.Popen:
    listens = " ".join(f"listen 127.0.0.1:{port};" for port in ports)
    # The body is read and dropped, then the answer goes out; `mirror`-free and without a file system.
    return nginx(folder, "engine", 0, f"""server {{ {listens} default_type application/json;
      location /health {{ return 200 ''; }}
      location /v1/models {{ return 200 '{MODELS}'; }}
      location /v1/chat/completions {{ return 200 '{ANSWER}'; }}
      location / {{ return 404 '{{}}'; }} }}""")


def nginx_proxy(folder: pathlib.Path, ports: list[int], port: int) -> subprocess.Popen:
    servers = " ".join(f"server 127.0.0.1:{engine};" for engine in ports)
    return nginx(folder, "proxy", 1, f"""upstream engines {{ {servers} keepalive 1024; keepalive_requests 1000000; }}
      server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://engines; proxy_http_version 1.1;
        proxy_set_header Connection ''; proxy_buffering off; }} }}""")


def infermesh_command(binary: str, folder: pathlib.Path, ports: list[int], port: int, policy: str) -> list[str]:
    command = ["taskset", "-c", "1", binary, "run", "--listen", f"127.0.0.1:{port}", "--admin-listen", "127.0.0.1:0",
               "--shards", "1", "--access-log", "off", "--default-policy", policy, "--log-level", "warn",
               "--ready-file", str(folder / "ready.json")]
    for engine in ports:
        command += ["--engine", f"http://127.0.0.1:{engine}"]
    return command


def infermesh(binary: str, folder: pathlib.Path, ports: list[int], port: int, policy: str) -> subprocess.Popen:
    return subprocess.Popen(infermesh_command(binary, folder, ports, port, policy))


def write_script(folder: pathlib.Path, size: int) -> pathlib.Path:
    """Half of the prompt is one of eight shared prefixes, the rest is unique to the request."""
    script = folder / f"post-{size}.lua"
    script.write_text(f"""
local half = {size // 2}
local prefixes = {{}}
for i = 1, 8 do prefixes[i] = string.rep("shared words of prefix " .. i .. " and so on, ", math.ceil(half / 40)):sub(1, half) end
local tail = string.rep("some words of a prompt that is not repeated, ", math.ceil(half / 44)):sub(1, half - 120)
local n = 0
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
request = function()
  n = n + 1
  local body = '{{"model":"m","messages":[{{"role":"system","content":"' .. prefixes[n % 8 + 1] ..
    '"}},{{"role":"user","content":"' .. n .. ' ' .. tail .. '"}}],"max_tokens":32}}'
  return wrk.format(nil, "/v1/chat/completions", nil, body)
end
""")
    return script


def measure(pid: int, port: int, script: pathlib.Path, connections: int, seconds: float) -> tuple[float, float]:
    """CPU microseconds a request, and requests a second."""
    command = ["taskset", "-c", "0", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script),
               f"http://127.0.0.1:{port}"]
    before = cpu_seconds(pid)
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    spent = cpu_seconds(pid) - before
    requests = requests_of(text)
    return spent / requests * 1e6, requests / seconds


def requests_of(text: str) -> int:
    """How many requests wrk says it made; none may have failed."""
    found = re.search(r"(\d+) requests in", text)
    if not found or re.search(r"Non-2xx or 3xx responses: \d+|Socket errors", text):
        raise SystemExit(f"errors under load, the figures mean nothing:\n{text}")
    return int(found.group(1))


def version_of(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def run(options: argparse.Namespace) -> str:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="infermesh-bench-"))
    ports = [free_port() for _ in range(4)]
    rows: dict[str, dict[str, list[tuple[float, float]]]] = {}
    memory: dict[str, float] = {}
    engine = engines(folder, ports)
    try:
        wait_http(f"http://127.0.0.1:{ports[0]}/health")
        peers = {
            "nginx": lambda port: nginx_proxy(folder, ports, port),
            "infermesh, round_robin": lambda port: infermesh(options.binary, folder, ports, port, "round_robin"),
            "infermesh, expected_latency": lambda port: infermesh(options.binary, folder, ports, port, "expected_latency"),
        }
        started = {name: (start(port := free_port()), port) for name, start in peers.items()}
        try:
            for _, port in started.values():
                wait_http(f"http://127.0.0.1:{port}/v1/models", expect=b'"m"')
            for repeat in range(options.repeats):
                for name, (process, port) in started.items():
                    for case, (size, connections) in CASES.items():
                        script = write_script(folder, size)
                        if repeat == 0:
                            measure(process.pid, port, script, connections, 1)
                        figure = measure(process.pid, port, script, connections, options.seconds)
                        rows.setdefault(name, {}).setdefault(case, []).append(figure)
                    memory[name] = rss_mib(process.pid)
        finally:
            for process, _ in started.values():
                process.terminate()
                process.wait()
    finally:
        engine.terminate()
        engine.wait()
        shutil.rmtree(folder, ignore_errors=True)
    return table(rows, memory) + footer(options)


def table(rows: dict, memory: dict[str, float]) -> str:
    lines = ["| proxy | " + " | ".join(f"{case}, CPU us | x nginx" for case in CASES) + " | RSS MiB |",
             "| --- |" + " ---: | ---: |" * len(CASES) + " ---: |"]
    base = {case: statistics.median(cost for cost, _ in rows["nginx"][case]) for case in CASES}
    for name, cases in rows.items():
        cells = []
        for case in CASES:
            cost = statistics.median(cost for cost, _ in cases[case])
            cells.append(f"{cost:.1f} | {cost / base[case]:.2f}")
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {memory[name]:.1f} |")
    return "\n".join(lines) + "\n"


def footer(options: argparse.Namespace) -> str:
    load = os.getloadavg()[0]
    return (f"\n{options.repeats} repeats of {options.seconds} s, medians; load average {load:.1f} at the end; "
            f"{version_of(['nginx', '-v'])}; {version_of([options.binary, 'version'])}; {os.cpu_count()} cores.\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=str(ROOT / "build/release/infermesh"))
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("-o", "--output", help="write the table to this file too")
    options = parser.parse_args()
    for tool in ("nginx", "wrk", "taskset"):
        if shutil.which(tool) is None:
            print(f"{tool} is not installed; `make bench` installs it", file=sys.stderr)
            return 2
    text = run(options)
    print(text, end="")
    if options.output:
        pathlib.Path(options.output).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
