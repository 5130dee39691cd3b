"""The tools of these tests against each other: what a scripted engine says is what the raw client
reads.
"""

import time

import pytest
from harness import fake_engine as fe
from harness.wire import Closed, Wire, call


def address(engine):
    return ("127.0.0.1", engine.port)


def test_a_scripted_engine_hears_the_exact_body(fake):
    engine = fake()
    answer = call(address(engine), "POST", "/v1/chat/completions", b'{"model":"m",  "x": 1}')
    assert (
        answer.status == 200
        and answer.json()["choices"][0]["message"]["content"] == "one two three"
    )
    assert bytes(engine.wait_whole().body) == b'{"model":"m",  "x": 1}'


def test_a_stream_arrives_event_by_event_and_ends_cleanly(fake):
    engine = fake()
    engine.then(fe.stream(*fe.chat_pieces(usage=True)))
    answer = call(address(engine), "POST", "/v1/chat/completions", b"{}")
    assert (
        answer.whole
        and [e.data for e in answer.events()][-1] == "[DONE]"
        and len(answer.chunks) == 7
    )


@pytest.mark.parametrize("end", ["close", "reset", "bad_chunk"])
def test_a_broken_stream_is_seen_as_broken(fake, end):
    engine = fake()
    engine.then(fe.stream(fe.chat_chunk({"content": "x"}), end=end))
    with Wire(address(engine)) as wire:
        wire.request("POST", "/", b"{}")
        head = wire.head()
        assert wire.chunk().startswith(b"data:")
        if end == "bad_chunk":
            with pytest.raises(AssertionError):
                wire.chunk()
        else:
            assert not wire.body(head).whole


def test_a_client_that_leaves_is_noticed(fake):
    engine = fake()
    engine.then(fe.hang())
    wire = Wire(address(engine))
    wire.request("POST", "/", b"{}")
    heard = engine.wait_whole()
    left = time.monotonic()
    wire.close()
    fe.eventually(lambda: heard.gone_at, "the engine notices")
    assert heard.gone_at - left < 0.1


def test_a_dead_engine_refuses_and_comes_back_on_the_same_port(fake):
    engine = fake()
    wire = Wire(address(engine))
    wire.request("GET", "/v1/models")
    assert wire.answer().json()["data"][0]["id"] == "m"
    engine.die()
    with pytest.raises(Closed):
        wire.take(1)
    with pytest.raises(ConnectionRefusedError):
        Wire(address(engine))
    engine.listen_again()
    assert call(address(engine), "GET", "/nothing").status == 404
