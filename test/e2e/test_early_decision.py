"""Routing begins before the body has ended; what the decision lacks is waited for, and no more."""

import json
import socket

import pytest
from harness import fake_engine as fe
from harness.wait import eventually, stays
from harness.wire import Closed

MEGABYTE = 1 << 20


def long_body(size: int, model_last: bool = False) -> bytes:
    text = ("Every wait has an end. " * (size // 23 + 1))[:size]
    messages = json.dumps([{"role": "user", "content": text}])
    if model_last:
        return f'{{"messages":{messages},"stream":false,"model":"m"}}'.encode()
    return f'{{"model":"m","stream":false,"messages":{messages}}}'.encode()


def head_for(length: int, extra: str = "") -> bytes:
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n"
        f"content-length: {length}\r\n{extra}\r\n"
    ).encode()


@pytest.mark.parametrize(
    "policy, wanted",
    [("round_robin", "256KiB"), ("expected_latency", "8KiB"), ("prefix_affinity", "8KiB")],
)
def test_the_engine_hears_the_beginning_before_the_client_has_sent_the_end(routed, policy, wanted):
    mesh, engine = routed(default_policy=policy, prompt_bytes_wanted=wanted)
    body = long_body(MEGABYTE)
    with mesh.wire() as wire:
        wire.send(head_for(len(body)) + body[:100_000])
        heard = engine.wait_heard()
        eventually(lambda: len(heard.body) >= 90_000, "the engine has nearly all that was sent")
        assert heard.complete_at is None
        wire.send(body[100_000:])
        assert wire.answer().status == 200
    assert bytes(heard.body) == body


def test_a_late_model_holds_the_body_back(routed):
    mesh, engine = routed()
    body = long_body(2 * MEGABYTE, model_last=True)
    with mesh.wire() as wire:
        wire.send(head_for(len(body)) + body[:-20])
        stays(lambda: not engine.heard, "nothing is sent before the model is known", 0.1)
        wire.send(body[-20:])
        assert wire.answer().status == 200
    assert bytes(engine.wait_whole().body) == body


def test_a_model_at_the_end_of_twenty_megabytes_is_found(routed):
    mesh, engine = routed()
    body = long_body(20 * MEGABYTE, model_last=True)
    assert mesh.post("/v1/chat/completions", body, within=60).status == 200
    assert bytes(engine.wait_whole().body) == body


def test_a_body_held_for_its_model_has_a_limit(routed):
    mesh, engine = routed(body_bytes_max="256KiB")
    body = long_body(MEGABYTE, model_last=True)
    with mesh.wire() as wire:
        wire.send(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        try:
            wire.send(fe.chunk(body) + fe.LAST_CHUNK)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert wire.answer().status == 413
    assert not engine.heard


def test_a_chunked_body_is_relayed_as_it_comes(routed):
    mesh, engine = routed(default_policy="round_robin")
    body = long_body(300_000)
    with mesh.wire() as wire:
        wire.send(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n"
            b"transfer-encoding: chunked\r\n\r\n" + fe.chunk(body[:150_000])
        )
        heard = engine.wait_heard()
        eventually(lambda: len(heard.body) > 100_000, "the engine has the first part")
        wire.send(fe.chunk(body[150_000:]) + fe.LAST_CHUNK)
        assert wire.answer().status == 200
    assert bytes(heard.body) == body


def test_an_unknown_model_is_refused_before_the_body_has_come(routed):
    mesh, engine = routed()
    with mesh.wire() as wire:
        wire.send(
            head_for(MEGABYTE)
            + b'{"model":"nobody","stream":false,"messages":[{"role":"user","content":"'
        )
        answer = wire.answer()
        assert answer.status == 404 and answer.json()["error"]["code"] == "model_not_found"
        assert answer.header("connection") == "close"


def test_a_client_that_goes_on_sending_gets_the_whole_refusal(routed):
    mesh, engine = routed()
    body = long_body(2 * MEGABYTE).replace(b'"model":"m"', b'"model":"nobody"')
    with mesh.wire() as wire:
        wire.send(head_for(len(body)) + body[:1000])
        assert wire.socket.recv(1, socket.MSG_PEEK), "the refusal comes before the rest is sent"
        wire.send(body[1000:])  # a router that has closed by now resets the connection here
        answer = wire.answer()
        assert answer.status == 404 and answer.whole
        assert answer.json()["error"]["code"] == "model_not_found"
        with pytest.raises(Closed) as end:
            wire.take(1)
        assert end.value.had == b"" and not end.value.reset


def test_an_engine_that_refuses_early_is_heard(routed):
    mesh, engine = routed(default_policy="round_robin")
    engine.default = fe.early(fe.error_reply(400, "too long", {"connection": "close"}))
    with mesh.wire() as wire:
        wire.send(head_for(MEGABYTE) + long_body(MEGABYTE)[:100_000])
        answer = wire.answer()
        assert answer.status == 400 and answer.json()["error"]["message"] == "too long"
