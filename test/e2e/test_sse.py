"""The stream relay: unchanged, at once, and never a clean end for a broken answer."""

import threading
import time

import pytest
from harness import fake_engine as fe
from harness.routes import body_of
from harness.wait import SLOW, eventually, stays
from harness.wire import Closed

CHAT = "/v1/chat/completions"


def open_stream(mesh, route=CHAT, headers=None, **options):
    wire = mesh.wire(**options)
    body = fe.json.dumps(body_of(route, stream=True)).encode()
    wire.request("POST", route, body, headers)
    return wire


def read_broken(wire) -> tuple[list, bool]:
    """All events of a stream, and whether it ended as its framing says."""
    answer = wire.body(wire.head())
    return answer.events(), answer.whole


# ---- form
def test_the_head_says_event_stream_and_forbids_buffering(routed):
    mesh, _ = routed()
    answer = mesh.chat(stream=True, headers={"accept-encoding": "gzip, deflate, br"})
    assert answer.header("content-type").startswith("text/event-stream")
    assert (
        answer.header("cache-control") == "no-cache" and answer.header("x-accel-buffering") == "no"
    )
    assert answer.header("content-length") is None and answer.header("content-encoding") is None
    assert answer.header("x-request-id")


def test_events_pass_unchanged(routed):
    mesh, engine = routed()
    odd = (
        b'data:  {"choices":[{"index":0,"delta":{"content":"\xf0\x9f\x90\x99\\n"}}] ,  "x":1.0}\n\n'
    )
    engine.then(fe.stream(odd, fe.event({"choices": [{"index": 0}]}, "vendor.kind"), fe.DONE))
    answer = mesh.chat(stream=True)
    assert (
        answer.whole
        and answer.body == odd + fe.event({"choices": [{"index": 0}]}, "vendor.kind") + fe.DONE
    )


def test_an_event_leaves_the_moment_it_comes(routed):
    mesh, engine = routed()
    gate = threading.Event()

    async def two_parts(exchange):
        exchange.send(fe.SSE_HEAD + fe.chunk(fe.chat_chunk({"content": "first"})))
        while not gate.is_set():
            await fe.asyncio.sleep(0.001)
        exchange.send(fe.chunk(fe.DONE) + fe.LAST_CHUNK)

    engine.then(two_parts)
    with open_stream(mesh) as wire:
        wire.head()
        assert "first" in wire.event(within=2).data
        gate.set()
        assert wire.event().data == "[DONE]"


def test_no_event_waits_for_another_packet(routed):
    """Nagle's algorithm on either side would hold small events for up to 40 ms."""
    mesh, engine = routed()
    sent = []

    async def ticking(exchange):
        exchange.send(fe.SSE_HEAD)
        for _ in range(20):
            sent.append(time.monotonic())
            exchange.send(fe.chunk(fe.chat_chunk({"content": "x"})))
            await fe.asyncio.sleep(0.004)
        exchange.send(fe.chunk(fe.DONE) + fe.LAST_CHUNK)

    engine.then(ticking)
    lags = []
    with open_stream(mesh) as wire:
        wire.head()
        for i in range(20):
            wire.event()
            lags.append(time.monotonic() - sent[i])
    assert sorted(lags)[10] < 0.015 * SLOW, lags


@pytest.mark.parametrize("size", [1, 2, 7])
def test_events_may_be_cut_at_any_byte(routed, size):
    mesh, engine = routed()
    whole = b"".join(fe.chat_pieces(usage=True))
    engine.then(fe.stream(*[whole[i : i + size] for i in range(0, len(whole), size)]))
    answer = mesh.chat(stream=True)
    assert answer.whole and answer.body == b"".join(
        p for p in fe.chat_pieces(usage=True) if b'"choices": []' not in p
    )


def test_carriage_returns_are_understood(routed):
    mesh, engine = routed()
    engine.then(fe.stream(*[piece.replace(b"\n", b"\r\n") for piece in fe.chat_pieces(usage=True)]))
    answer = mesh.chat(stream=True)
    assert answer.whole and answer.events()[-1].data == "[DONE]"
    assert all(event.json()["choices"] for event in answer.events()[:-1])


def test_ids_retries_and_comments_of_the_engine_are_not_passed(routed):
    mesh, engine = routed()
    engine.then(
        fe.stream(
            b"retry: 10\n\n", b": ping\n\n", b"id: 7\n" + fe.chat_chunk({"content": "x"}), fe.DONE
        )
    )
    answer = mesh.chat(stream=True)
    lines = answer.body.decode().splitlines()
    assert not [line for line in lines if line.startswith(("id", "retry"))]
    assert "x" in answer.events()[0].data and answer.events()[-1].data == "[DONE]"


def test_a_large_event_passes(routed):
    mesh, engine = routed()
    big = fe.chat_chunk({"content": "y" * 3_000_000})
    engine.then(fe.stream(big, fe.DONE))
    answer = mesh.chat(stream=True, within=30)
    assert answer.whole and answer.body == big + fe.DONE


# ---- keep-alive comments
def test_silence_before_the_first_event_is_filled_with_comments(routed):
    mesh, engine = routed(sse_keepalive_first="100ms", sse_keepalive_every="100ms")
    gate = threading.Event()
    engine.then(fe.held(gate, fe.stream(*fe.chat_pieces())))
    with open_stream(mesh) as wire:
        assert wire.head().status == 200
        assert wire.next_block().startswith(b":") and wire.next_block().startswith(b":")
        gate.set()
        assert wire.event().json()["choices"]


def test_silence_in_the_middle_is_filled_with_comments(routed):
    mesh, engine = routed(sse_keepalive_first="50ms", sse_keepalive_every="100ms")
    engine.then(fe.stream(fe.chat_chunk({"content": "x"}), 0.4, fe.DONE))
    answer = mesh.chat(stream=True)
    assert answer.whole and answer.body.count(b"\n: ") + answer.body.count(b"\n:\n") >= 1
    assert [line for line in answer.body.split(b"\n") if line][-1] == b"data: [DONE]"


def test_messages_get_ping_events(routed):
    mesh, engine = routed(sse_keepalive_first="50ms", sse_keepalive_every="100ms")
    engine.then(fe.stream(0.3, fe.event({"type": "message_stop"}, "message_stop")))
    answer = mesh.post("/v1/messages", body_of("/v1/messages", stream=True))
    assert (
        answer.whole
        and answer.events()[0].kind == "ping"
        and answer.events()[0].json() == {"type": "ping"}
    )


def test_no_comment_comes_before_five_seconds_by_default(routed):
    mesh, engine = routed()
    engine.then(fe.stream(0.5, *fe.chat_pieces()))
    assert b"\n:" not in b"\n" + mesh.chat(stream=True).body


def test_a_failure_after_the_first_comment_is_told_in_band(routed):
    mesh, engine = routed(sse_keepalive_first="50ms")

    async def late_reset(exchange):
        await fe.asyncio.sleep(0.3)
        exchange.reset()

    engine.default = late_reset
    with open_stream(mesh) as wire:
        events, whole = read_broken(wire)
    assert not whole and "error" in events[-1].json()


def test_an_engines_error_after_the_first_comment_is_told_in_band(routed):
    mesh, engine = routed(sse_keepalive_first="50ms")
    gate = threading.Event()
    engine.default = fe.held(gate, fe.error_reply(400, "too hot"))
    with open_stream(mesh) as wire:
        head = wire.head()
        wire.next_block()
        gate.set()
        answer = wire.body(head)
    assert not answer.whole and "too hot" in answer.events()[-1].json()["error"]["message"]


# ---- broken streams
@pytest.mark.parametrize("end", ["clean", "close", "reset", "bad_chunk"])
def test_a_stream_without_its_last_event_ends_in_an_error_and_an_unclean_close(routed, end):
    mesh, engine = routed()
    engine.then(fe.stream(*fe.chat_pieces()[:3], end=end))
    with open_stream(mesh) as wire:
        events, whole = read_broken(wire)
    assert not whole, "an SDK would take it for a success"
    error = events[-1].json()["error"]
    assert error["code"] in ("stream_truncated", "upstream_bad_response") and set(error) >= {
        "message",
        "type",
        "param",
        "code",
    }
    assert "[DONE]" not in [event.data for event in events] and len(events) == 4


def test_a_bad_frame_ends_in_an_error(routed):
    mesh, engine = routed()
    engine.then(fe.stream(fe.chat_pieces()[0], b"data: {not json\n\n", fe.DONE))
    with open_stream(mesh) as wire:
        events, whole = read_broken(wire)
    assert (
        not whole
        and "error" in events[-1].json()
        and "[DONE]" not in [event.data for event in events]
    )


def test_an_error_frame_is_passed_on_and_its_done_is_not(routed):
    mesh, engine = routed()
    said = {
        "error": {
            "message": "out of memory",
            "type": "InternalServerError",
            "param": None,
            "code": 500,
        }
    }
    engine.then(fe.stream(fe.chat_pieces()[0], fe.event(said), fe.DONE))
    with open_stream(mesh) as wire:
        events, whole = read_broken(wire)
    assert not whole and events[-1].json()["error"]["message"] == "out of memory"
    assert mesh.decision(list_last(mesh))["attempts"][-1]["outcome"] == "truncated"


def list_last(mesh) -> str:
    return eventually(lambda: mesh.ask("/debug/decisions").json()["decisions"], "a decision")[0][
        "request_id"
    ]


@pytest.mark.parametrize("end", ["clean", "close"])
def test_responses_without_their_terminal_event_end_in_an_error_event(routed, end):
    mesh, engine = routed()
    engine.then(
        fe.stream(
            fe.event({"type": "response.created", "sequence_number": 0}, "response.created"),
            end=end,
        )
    )
    with open_stream(mesh, "/v1/responses") as wire:
        events, whole = read_broken(wire)
    assert not whole and events[-1].kind == "error"
    assert events[-1].json()["type"] == "error" and events[-1].json()["error"], (
        "older decoders look for a top-level error"
    )


@pytest.mark.parametrize("end", ["clean", "close"])
def test_messages_without_their_stop_end_in_an_error_event(routed, end):
    mesh, engine = routed()
    engine.then(
        fe.stream(fe.event({"type": "message_start", "message": {}}, "message_start"), end=end)
    )
    with open_stream(mesh, "/v1/messages") as wire:
        events, whole = read_broken(wire)
    assert (
        not whole
        and events[-1].kind == "error"
        and events[-1].json()["error"]["type"] == "api_error"
    )


@pytest.mark.parametrize(
    "terminal", ["response.completed", "response.incomplete", "response.failed"]
)
def test_responses_end_cleanly_with_each_terminal_event(routed, terminal):
    mesh, engine = routed()
    last = fe.event({"type": terminal, "response": {"usage": None}}, terminal)
    engine.then(fe.stream(last))
    answer = mesh.post("/v1/responses", body_of("/v1/responses", stream=True))
    assert answer.whole and answer.body == last


def test_a_silent_stream_is_cut_and_says_why(routed):
    mesh, engine = routed(between_bytes_timeout="200ms")
    engine.then(fe.stream(fe.chat_chunk({"content": "x"}), end="hang"))
    with open_stream(mesh) as wire:
        events, whole = read_broken(wire)
    assert not whole and events[-1].json()["error"]["code"] == "stream_stalled"
    eventually(lambda: engine.heard[0].gone_at, "the engine is let go")


def test_an_answer_that_is_no_stream_is_passed_as_what_it_is(routed):
    mesh, engine = routed()
    engine.then(fe.json_reply(fe.chat_body()))
    answer = mesh.chat(stream=True)
    assert answer.status == 200 and answer.json()["object"] == "chat.completion"


# ---- slow readers
def test_a_slow_reader_pauses_the_engine_and_is_then_cut_with_a_reason(routed):
    mesh, engine = routed(stream_buffer_bytes_max="64KiB", client_stall_timeout="300ms")
    piece = fe.chat_chunk({"content": "z" * 4000})
    sent = [0]

    async def flood(exchange):
        exchange.send(fe.SSE_HEAD)
        while True:
            exchange.send(fe.chunk(piece))
            await exchange.flush()
            sent[0] += len(piece)
            await fe.asyncio.sleep(0)

    engine.then(flood)
    with open_stream(mesh, receive_buffer=4096) as wire:
        heard = engine.wait_heard()
        eventually(lambda: heard.gone_at, "the stream is cut", within=20)
        with pytest.raises((Closed, TimeoutError)):
            while True:
                wire.take(1 << 16)
    assert sent[0] < 32 << 20, "reading from the engine paused"
    record = mesh.decision(list_last(mesh))
    assert record["error_code"] == "client_too_slow"


def test_a_reader_that_comes_back_in_time_gets_everything(routed):
    mesh, engine = routed(stream_buffer_bytes_max="64KiB", client_stall_timeout="20s")
    pieces = [fe.chat_chunk({"content": f"{i:06d}" + "z" * 16000}) for i in range(2000)]
    engine.then(fe.stream(*pieces, fe.DONE))
    with open_stream(mesh, receive_buffer=4096) as wire:
        head = wire.head()
        heard = engine.wait_heard()
        stays(lambda: heard.replied_at is None, "the engine is held back", 0.2)
        answer = wire.body(head, within=30)
    assert answer.whole and answer.body == b"".join(pieces) + fe.DONE
