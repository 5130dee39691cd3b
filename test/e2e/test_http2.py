"""HTTP/2 on the same port as HTTP/1.1, with the clients that people use, and with one whose every
frame is the test's.
"""

import json
import re
import shutil
import signal
import subprocess
import threading

import httpx2
import openai
import pytest
from harness import fake_engine as fe
from harness.http2 import Http2Client
from harness.wait import eventually

HELLO = [{"role": "user", "content": "What does a router do?"}]


def chat(**fields: object) -> dict:
    return {"model": "m", "messages": [{"role": "user", "content": "hello"}], **fields}


def tool(name: str) -> str:
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def engine(fake):
    return fake()


@pytest.fixture
def mesh(start, engine):
    return start.up(engine.url)


def test_curl_speaks_http2_and_http1_to_one_port(mesh):
    curl = tool("curl")
    for flag, version in (("--http2-prior-knowledge", "2"), ("--http1.1", "1.1")):
        got = subprocess.run(
            [curl, "-sS", flag, "-w", "\n%{http_version} %{http_code}", mesh.url + "/v1/models"],
            capture_output=True,
            text=True,
            timeout=10,
        )
        assert got.stdout.endswith(f"\n{version} 200"), got
        assert json.loads(got.stdout.rsplit("\n", 1)[0])["data"][0]["id"] == "m"


def test_the_openai_client_streams_over_http2(start, llama):
    mesh = start.up(*llama)
    versions = []
    transport = httpx2.Client(
        http1=False,
        http2=True,
        event_hooks={"response": [lambda answer: versions.append(answer.http_version)]},
    )
    with openai.OpenAI(
        base_url=mesh.url + "/v1", api_key="any", max_retries=0, http_client=transport
    ) as client:
        whole = client.chat.completions.create(model="tiny-llama", messages=HELLO, max_tokens=8)
        assert whole.choices[0].message.content
        text = ""
        for part in client.chat.completions.create(
            model="tiny-llama", messages=HELLO, max_tokens=12, stream=True
        ):
            text += part.choices[0].delta.content or ""
        assert text
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="none", messages=HELLO)
    assert versions == ["HTTP/2"] * 3


def test_h2load_loses_nothing_and_spreads_over_the_engines(start, fake):
    h2load = tool("h2load")
    engines = [fake(), fake()]
    mesh = start.up(*(engine.url for engine in engines))
    body = mesh.folder / "body.json"
    body.write_text(json.dumps(chat()))
    got = subprocess.run(
        [h2load, "-n", "1000", "-c", "4", "-m", "25", "-d", str(body),
         "-H", "content-type: application/json", mesh.url + "/v1/chat/completions"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "1000 succeeded, 0 failed, 0 errored" in got.stdout, got.stdout
    assert re.search(r"status codes: 1000 2xx", got.stdout), got.stdout
    assert all(len(engine.heard) > 200 for engine in engines)
    assert mesh.metric("infermesh_requests_total", code="200") == 1000


def test_requests_of_one_connection_do_not_wait_for_each_other(mesh, engine):
    engine.then(fe.hang())
    with Http2Client(mesh.address) as client:
        waiting = client.chat(chat())
        eventually(lambda: len(engine.heard) == 1, "the first has reached the engine")
        second = client.answer(client.chat(chat()))
        assert second.status == 200 and not waiting.head


def test_a_reset_stream_cancels_its_request_at_the_engine_and_no_other(mesh, engine):
    engine.then(fe.hang(), fe.hang())
    with Http2Client(mesh.address) as client:
        first = client.chat(chat())
        eventually(lambda: len(engine.heard) == 1, "the first has reached the engine")
        client.chat(chat())
        eventually(lambda: len(engine.heard) == 2, "the second has reached the engine")
        client.cancel(first)
        eventually(lambda: engine.heard[0].gone_at, "the engine sees the first leave", 1)
        assert engine.heard[1].gone_at is None
        assert client.answer(client.request("GET", "/v1/models")).status == 200
    eventually(lambda: engine.heard[1].gone_at, "the end of the connection cancels the rest", 1)


def test_a_reader_that_stops_stops_the_engine(start, engine):
    mesh = start.up(engine.url, stream_buffer_bytes_max="64KiB")
    sent = []

    async def flood(exchange):
        exchange.send(fe.SSE_HEAD)
        event = fe.chunk(fe.chat_chunk({"content": "x" * 4000}))
        while True:
            exchange.send(event)
            sent.append(len(event))
            await exchange.flush()

    engine.then(flood)
    with Http2Client(mesh.address) as client:
        stream = client.chat(chat(stream=True))
        client.until(lambda: len(stream.body) >= 65535, "the client's window is full")
        before = 0

        def at_rest():
            nonlocal before
            seen, before = before, sum(sent)
            return seen == before

        eventually(at_rest, "the engine has stopped")
        assert sum(sent) < 16 << 20, "sockets and bounded buffers only"
        client.read_on(stream)
        client.until(lambda: len(stream.body) >= 120_000, "it goes on when the client does")


def test_a_drain_finishes_what_runs_and_then_says_goaway(start, engine):
    mesh = start.up(engine.url, drain_timeout="20s")
    gate = threading.Event()
    engine.then(fe.held(gate, fe.plausible))
    with Http2Client(mesh.address) as client:
        running = client.chat(chat())
        eventually(lambda: len(engine.heard) == 1, "the request has reached the engine")
        mesh.program.signal(signal.SIGTERM)
        eventually(lambda: mesh.ask("/readyz").status == 503, "the process drains")
        gate.set()
        assert client.answer(running).status == 200
        client.until(lambda: client.goaway is not None, "GOAWAY")
    assert mesh.program.wait() == 0
