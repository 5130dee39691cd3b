"""Runs llama.cpp's own HTTP server, from the prebuilt xllamacpp wheel, until it is told to end or
its parent dies.

    .venv/bin/python tools/llama_server.py build/models/tiny.gguf --alias tiny-llama --parallel 4

Prints one line of JSON, {"url": "http://127.0.0.1:PORT", "pid": N}, once it answers. Port 0 takes a
free one.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request

TRIES = 5
READY_SECONDS = 60.0
PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Asks the kernel for SIGTERM when the parent is gone, so that nothing is left running behind a
    crash.
    """
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def params_of(args: argparse.Namespace, port: int):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = args.model
    params.model_alias = {args.alias}
    params.hostnames = [args.host]
    params.port = port
    params.n_ctx = args.ctx
    params.n_parallel = args.parallel
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = args.threads
    params.endpoint_metrics = True
    params.endpoint_slots = True
    params.warmup = False
    params.ui = False
    params.api_keys = args.api_key
    if args.embeddings:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    return params


def start(args: argparse.Namespace):
    """The server and its port. Another process may take a free port between the probe and the bind:
    then once more.
    """
    import xllamacpp

    for left in reversed(range(TRIES)):
        port = args.port or free_port(args.host)
        try:
            return xllamacpp.Server(params_of(args, port)), port
        except RuntimeError as error:
            if args.port or not left:
                sys.exit(
                    f"llama.cpp's server does not start on {args.host}:{port} with {args.model}: "
                    f"{error} Is the port taken? Its log is above."
                )


def wait_ready(url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url + "/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    sys.exit(
        f"llama.cpp did not become ready on {url} within {READY_SECONDS:.0f} s; its log is above"
    )


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a GGUF file")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--alias", default="tiny-llama", help="the model's name")
    parser.add_argument("--parallel", type=int, default=4, help="slots: requests served at once")
    parser.add_argument("--ctx", type=int, default=8192, help="context tokens, all slots together")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--embeddings", action="store_true", help="serve /v1/embeddings (mean of the tokens)"
    )
    parser.add_argument(
        "--api-key", action="append", default=[], help="a key to ask for; may be repeated"
    )
    parser.add_argument("--outlive-parent", action="store_true", help="go on when the parent ends")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if not args.outlive_parent:
        end_with_parent()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    server, port = start(args)
    url = f"http://{args.host}:{port}"
    wait_ready(url)
    print(json.dumps({"url": url, "pid": os.getpid()}), flush=True)
    ended.wait()
    os._exit(0)  # a hard end: open streams must not keep the process


if __name__ == "__main__":
    main()
