"""A client that goes away takes its request with it, within 100 ms, wherever the request is."""

import json
import statistics
import time

import pytest
from harness import fake_engine as fe
from harness.routes import ROUTES, STREAMING, body_of
from harness.wait import SLOW, eventually, stays

LIMIT = 0.1 * SLOW


def send(mesh, route, **fields):
    wire = mesh.wire()
    wire.request("POST", route, json.dumps(body_of(route, **fields)).encode())
    return wire


def last_record(mesh) -> dict:
    found = eventually(lambda: mesh.ask("/debug/decisions").json()["decisions"], "a decision")
    return mesh.decision(found[0]["request_id"])


def lag_of(heard, left: float) -> float:
    eventually(lambda: heard.gone_at, "the engine sees the connection close")
    return heard.gone_at - left


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("route", ROUTES)
def test_leaving_before_the_answer_cancels_upstream(routed, route, leave):
    mesh, engine = routed()
    engine.default = fe.hang()
    lags = []
    for i in range(3):
        wire = send(mesh, route)
        heard = engine.wait_whole(i + 1)
        left = time.monotonic()
        getattr(wire, leave)()
        lags.append(lag_of(heard, left))
    assert statistics.median(lags) <= LIMIT, lags
    record = last_record(mesh)
    assert record["error_code"] == "client_closed" and record["status"] == 499
    assert record["attempts"][-1]["outcome"] == "cancelled"


@pytest.mark.parametrize("route", STREAMING)
def test_leaving_in_mid_stream_cancels_upstream(routed, route):
    mesh, engine = routed()
    engine.default = fe.endless(
        fe.event({"type": "x", "choices": [{"index": 0, "delta": {"content": "x"}}]}), gap=0.01
    )
    lags = []
    for i in range(3):
        with send(mesh, route, stream=True) as wire:
            heard = engine.wait_heard(i + 1)
            wire.head()
            wire.chunk()
            left = time.monotonic()
        lags.append(lag_of(heard, left))
    assert statistics.median(lags) <= LIMIT, lags


def test_leaving_a_silent_stream_cancels_upstream(routed):
    mesh, engine = routed()
    engine.default = fe.stream(fe.chat_chunk({"content": "x"}), end="hang")
    with send(mesh, "/v1/chat/completions", stream=True) as wire:
        heard = engine.wait_heard()
        wire.head()
        wire.chunk()
        left = time.monotonic()
    assert lag_of(heard, left) <= LIMIT * 2


def test_leaving_the_queue_never_reaches_an_engine(routed):
    mesh, engine = routed(in_flight_per_engine_max=1)
    engine.default = fe.hang()
    first = send(mesh, "/v1/chat/completions")
    engine.wait_whole(1)
    second = send(mesh, "/v1/chat/completions")
    eventually(lambda: mesh.status()["queued"] == 1, "the second request waits")
    second.close()
    eventually(lambda: mesh.status()["queued"] == 0, "its place is free")
    first.close()
    eventually(lambda: mesh.status()["in_flight"] == 0, "nothing is in flight")
    stays(lambda: len(engine.heard) == 1, "the second request was never sent", 0.1)


def test_leaving_while_the_body_is_on_its_way_cancels_upstream(routed):
    mesh, engine = routed(default_policy="round_robin")
    with mesh.wire() as wire:
        wire.send(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n"
            b"content-length: 1000000\r\n\r\n"
            b'{"model":"m","stream":false,"messages":[{"role":"user","content":"' + b"x" * 100_000
        )
        heard = engine.wait_heard()
        left = time.monotonic()
    assert lag_of(heard, left) <= LIMIT * 2


def test_cancelled_requests_say_nothing_about_the_engine(routed):
    mesh, engine = routed()
    engine.default = fe.hang()
    for i in range(10):
        wire = send(mesh, "/v1/chat/completions")
        engine.wait_whole(i + 1)
        wire.close()
    eventually(lambda: mesh.status()["in_flight"] == 0, "nothing is in flight")
    engine.default = fe.plausible
    assert mesh.engine_state("e1") == "ready" and mesh.chat().status == 200


def test_a_half_closed_client_counts_as_gone(routed):
    mesh, engine = routed()
    engine.default = fe.hang()
    with send(mesh, "/v1/chat/completions") as wire:
        heard = engine.wait_whole()
        left = time.monotonic()
        wire.half_close()
        assert lag_of(heard, left) <= LIMIT * 2


def test_a_half_closed_client_may_be_served(routed):
    mesh, engine = routed(half_close_cancels="off")
    gate = fe.threading.Event()
    engine.default = fe.held(gate, fe.plausible)
    with send(mesh, "/v1/chat/completions") as wire:
        heard = engine.wait_whole()
        wire.half_close()
        stays(lambda: not heard.gone_at, "the request goes on", 0.15)
        gate.set()
        assert wire.answer().status == 200


def test_a_real_engine_stops_working_for_a_client_that_left(start, own_llama):
    server = own_llama(1)[0]
    mesh = start.up(server.url)
    with mesh.wire() as wire:
        wire.request(
            "POST",
            "/v1/completions",
            json.dumps(
                {
                    "model": "tiny-llama",
                    "prompt": "A router",
                    "max_tokens": 1900,
                    "stream": True,
                    "ignore_eos": True,
                }
            ).encode(),
        )
        wire.head()
        wire.event()
    from harness.wire import address_of, call

    def idle() -> bool:
        return not any(
            slot["is_processing"] for slot in call(address_of(server.url), "GET", "/slots").json()
        )

    eventually(idle, "llama.cpp's slots are free", within=2 * SLOW)
    eventually(lambda: mesh.status()["in_flight"] == 0, "the router counts nothing in flight")
