"""HTTP/1.1 as it is written: strict where requests could be smuggled, patient where clients are
merely unusual.
"""

import json
import os
import time

import pytest
from harness import fake_engine as fe
from harness.routes import ROUTES, body_of
from harness.wait import SLOW, eventually
from harness.wire import Closed, request_bytes

BODY = json.dumps(body_of("/v1/chat/completions")).encode()
POST = b"POST /v1/chat/completions HTTP/1.1\r\n"
HOST = b"host: t\r\n"
JSON = b"content-type: application/json\r\n"
LENGTH = b"content-length: %d\r\n" % len(BODY)
CHUNKED = b"transfer-encoding: chunked\r\n"
SMUGGLED = request_bytes("POST", "/v1/completions", b'{"model":"m","prompt":"smuggled"}')

MALFORMED = {
    "both lengths": POST
    + HOST
    + JSON
    + LENGTH
    + CHUNKED
    + b"\r\n"
    + fe.chunk(BODY)
    + fe.LAST_CHUNK,
    "chunked, then a length": POST
    + HOST
    + JSON
    + CHUNKED
    + LENGTH
    + b"\r\n"
    + fe.chunk(BODY)
    + fe.LAST_CHUNK,
    "two lengths that differ": POST + HOST + JSON + LENGTH + b"content-length: 3\r\n\r\n" + BODY,
    "two lengths that agree": POST + HOST + JSON + LENGTH + LENGTH + b"\r\n" + BODY,
    "a list of lengths": POST + HOST + JSON + b"content-length: 5, 5\r\n\r\n" + BODY,
    "a signed length": POST + HOST + JSON + b"content-length: +5\r\n\r\n" + BODY,
    "a negative length": POST + HOST + JSON + b"content-length: -1\r\n\r\n" + BODY,
    "a length beyond 64 bits": POST
    + HOST
    + JSON
    + b"content-length: 99999999999999999999999\r\n\r\n"
    + BODY,
    "an unknown transfer coding": POST + HOST + JSON + b"transfer-encoding: cow\r\n\r\n" + BODY,
    "chunked not last": POST
    + HOST
    + JSON
    + b"transfer-encoding: chunked, gzip\r\n\r\n"
    + fe.chunk(BODY)
    + fe.LAST_CHUNK,
    "chunked twice": POST
    + HOST
    + JSON
    + CHUNKED
    + CHUNKED
    + b"\r\n"
    + fe.chunk(BODY)
    + fe.LAST_CHUNK,
    "a chunk size that is no number": POST + HOST + JSON + CHUNKED + b"\r\nxyz\r\n" + BODY,
    "a chunk size with a sign": POST + HOST + JSON + CHUNKED + b"\r\n-5\r\n" + BODY,
    "a chunk size with 0x": POST + HOST + JSON + CHUNKED + b"\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": POST
    + HOST
    + JSON
    + CHUNKED
    + b"\r\nfffffffffffffffff\r\n"
    + BODY,
    "a chunk without its end": POST
    + HOST
    + JSON
    + CHUNKED
    + b"\r\n%x\r\n%sXX0\r\n\r\n" % (len(BODY), BODY),
    "a chunk size with a bare LF": POST
    + HOST
    + JSON
    + CHUNKED
    + b"\r\n%x\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
    "obs-fold": POST + HOST + JSON + b"x-a: 1\r\n folded\r\n" + LENGTH + b"\r\n" + BODY,
    "a folded first header": POST + b" host: t\r\n" + JSON + LENGTH + b"\r\n" + BODY,
    "bare LF in the head": POST + HOST + b"x-a: 1\n" + JSON + LENGTH + b"\r\n" + BODY,
    "bare LF everywhere": (POST + HOST + JSON + LENGTH + b"\r\n").replace(b"\r\n", b"\n") + BODY,
    "bare CR in a value": POST + HOST + b"x-a: 1\rx-b: 2\r\n" + JSON + LENGTH + b"\r\n" + BODY,
    "space before the colon": POST
    + HOST
    + JSON
    + b"content-length : %d\r\n\r\n" % len(BODY)
    + BODY,
    "NUL in a value": POST + HOST + b"x-a: a\0b\r\n" + JSON + LENGTH + b"\r\n" + BODY,
    "NUL in a name": POST + HOST + b"x\0a: b\r\n" + JSON + LENGTH + b"\r\n" + BODY,
    "a control character in a value": POST
    + HOST
    + b"x-a: a\x01b\r\n"
    + JSON
    + LENGTH
    + b"\r\n"
    + BODY,
    "an empty header name": POST + HOST + b": v\r\n" + JSON + LENGTH + b"\r\n" + BODY,
    "a header without a colon": POST + HOST + b"nothing\r\n" + JSON + LENGTH + b"\r\n" + BODY,
    "a bad character in a name": POST + HOST + b"x(a): v\r\n" + JSON + LENGTH + b"\r\n" + BODY,
    "no Host": POST + JSON + LENGTH + b"\r\n" + BODY,
    "two Hosts": POST + HOST + HOST + JSON + LENGTH + b"\r\n" + BODY,
    "a target with a space": b"POST /v1/chat completions HTTP/1.1\r\n"
    + HOST
    + JSON
    + LENGTH
    + b"\r\n"
    + BODY,
    "a target with a control character": b"POST /v1/chat\x01 HTTP/1.1\r\n"
    + HOST
    + JSON
    + LENGTH
    + b"\r\n"
    + BODY,
    "no version": b"POST /v1/chat/completions\r\n" + HOST + JSON + LENGTH + b"\r\n" + BODY,
    "HTTP/2.0 without being it": b"POST /v1/chat/completions HTTP/2.0\r\n"
    + HOST
    + JSON
    + LENGTH
    + b"\r\n"
    + BODY,
    "a version that is none": b"POST /v1/chat/completions HTTP/1.x\r\n"
    + HOST
    + JSON
    + LENGTH
    + b"\r\n"
    + BODY,
    "a method that is none": b"P(ST /v1/chat/completions HTTP/1.1\r\n"
    + HOST
    + JSON
    + LENGTH
    + b"\r\n"
    + BODY,
    "not HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
}


@pytest.fixture
def mesh_and_engine(routed):
    return routed()


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_request_is_400_and_the_connection_ends(mesh_and_engine, case):
    mesh, engine = mesh_and_engine
    with mesh.wire() as wire:
        wire.send(MALFORMED[case] + SMUGGLED)
        answer = wire.answer()
        assert answer.status == 400, answer
        assert answer.json()["error"]["code"] == "bad_request" and answer.json()["error"]["message"]
        assert answer.header("connection") == "close"
        try:
            assert wire.wait_closed() == b"", "nothing is answered after it"
        except Closed:
            pass
    assert not [heard for heard in engine.heard if b"smuggled" in heard.body]


# ---- connections
def test_a_connection_serves_many_requests(mesh_and_engine):
    mesh, engine = mesh_and_engine
    with mesh.wire() as wire:
        for _ in range(5):
            wire.request("POST", "/v1/chat/completions", BODY)
            assert wire.answer().status == 200
        wire.request("GET", "/v1/models")
        assert wire.answer().json()["data"][0]["id"] == "m"
    assert len({heard.connection for heard in engine.heard}) == 1, (
        "the engine's connection is kept too"
    )


def test_pipelined_requests_are_answered_in_order(mesh_and_engine):
    mesh, engine = mesh_and_engine
    with mesh.wire() as wire:
        wire.send(
            request_bytes("POST", "/v1/chat/completions", BODY)
            + request_bytes("GET", "/v1/models")
            + request_bytes("POST", "/v1/embeddings", b'{"model":"m","input":"x"}')
        )
        kinds = [wire.answer().json()["object"] for _ in range(3)]
    assert kinds == ["chat.completion", "list", "echo"]


def test_a_request_may_come_byte_by_byte(mesh_and_engine):
    mesh, engine = mesh_and_engine
    with mesh.wire() as wire:
        for byte in request_bytes("POST", "/v1/chat/completions", BODY):
            wire.send(bytes([byte]))
        assert wire.answer().status == 200
    assert bytes(engine.wait_whole().body) == BODY


def test_connection_close_is_kept(mesh_and_engine):
    mesh, _ = mesh_and_engine
    with mesh.wire() as wire:
        wire.request("POST", "/v1/chat/completions", BODY, {"connection": "close"})
        assert wire.answer().header("connection") == "close"
        assert wire.wait_closed() == b""


def test_http_1_0_gets_a_length_or_an_end(mesh_and_engine):
    mesh, _ = mesh_and_engine
    with mesh.wire() as wire:
        wire.send(b"POST /v1/chat/completions HTTP/1.0\r\n" + JSON + LENGTH + b"\r\n" + BODY)
        answer = wire.answer()
        assert answer.status == 200 and answer.header("transfer-encoding") is None
        assert answer.json()["object"] == "chat.completion"


def test_an_idle_connection_is_closed_in_time(routed):
    mesh, _ = routed(client_idle_timeout="200ms")
    with mesh.wire() as wire:
        wire.request("GET", "/v1/models")
        wire.answer()
        assert wire.wait_closed(within=2 * SLOW) == b"", (
            "an idle connection is closed without a word"
        )


# ---- bodies
def test_chunked_requests_with_extensions_and_trailers_are_taken(mesh_and_engine):
    mesh, engine = mesh_and_engine
    with mesh.wire() as wire:
        wire.send(
            POST
            + HOST
            + JSON
            + CHUNKED
            + b"\r\n"
            + b"%x;ext=1\r\n%s\r\n" % (10, BODY[:10])
            + fe.chunk(BODY[10:])
            + b"0\r\nx-trailer: 1\r\n\r\n"
        )
        assert wire.answer().status == 200
    heard = engine.wait_whole()
    assert bytes(heard.body) == BODY and heard.header("x-trailer") is None


def test_a_chunked_answer_without_a_stream_is_passed(mesh_and_engine):
    mesh, engine = mesh_and_engine
    body = json.dumps(fe.chat_body()).encode()
    engine.then(
        fe.raw(
            fe.head_bytes(200, {"content-type": "application/json", "transfer-encoding": "chunked"})
            + fe.chunk(body[:20])
            + fe.chunk(body[20:])
            + fe.LAST_CHUNK
        )
    )
    answer = mesh.post("/v1/chat/completions", BODY)
    assert answer.body == body and answer.whole


def test_an_answer_that_ends_with_its_connection_is_passed(mesh_and_engine):
    mesh, engine = mesh_and_engine
    body = json.dumps(fe.chat_body()).encode()
    engine.then(
        fe.raw(
            fe.head_bytes(200, {"content-type": "application/json", "connection": "close"}) + body,
            "close",
        )
    )
    answer = mesh.post("/v1/chat/completions", BODY)
    assert answer.body == body


def test_an_answer_shorter_than_it_says_is_not_taken_for_whole(mesh_and_engine):
    mesh, engine = mesh_and_engine
    engine.default = fe.raw(
        fe.head_bytes(200, {"content-type": "application/json", "content-length": "1000"})
        + b'{"id":"x"',
        "close",
    )
    answer = mesh.post("/v1/chat/completions", BODY)
    assert answer.status == 502 or not answer.whole


def test_expect_continue_is_answered_at_once(mesh_and_engine):
    mesh, engine = mesh_and_engine
    with mesh.wire() as wire:
        wire.send(POST + HOST + JSON + LENGTH + b"expect: 100-continue\r\n\r\n")
        assert wire.head(within=2 * SLOW).status == 100
        wire.send(BODY)
        assert wire.answer().status == 200
    assert engine.wait_whole().header("expect") is None


def test_another_expectation_fails(mesh_and_engine):
    mesh, _ = mesh_and_engine
    with mesh.wire() as wire:
        wire.send(POST + HOST + JSON + LENGTH + b"expect: miracles\r\n\r\n" + BODY)
        answer = wire.answer()
    assert answer.status == 417 and answer.json()["error"]["code"] == "expectation_failed"


# ---- limits
def test_a_body_over_the_limit_is_refused_by_its_announcement(routed):
    mesh, engine = routed(body_bytes_max="64KiB")
    with mesh.wire() as wire:
        wire.send(POST + HOST + JSON + b"content-length: 65537\r\n\r\n")
        answer = wire.answer()
    assert answer.status == 413 and answer.json()["error"]["code"] == "request_too_large"
    assert mesh.post("/v1/messages", b"x" * 70_000).json()["error"]["type"] == "request_too_large"
    assert not engine.heard


def test_the_limit_is_64_mib_by_default(mesh_and_engine):
    mesh, _ = mesh_and_engine
    with mesh.wire() as wire:
        wire.send(POST + HOST + JSON + b"content-length: %d\r\n\r\n" % ((64 << 20) + 1))
        assert wire.answer().status == 413


def test_a_head_over_the_limit_is_431(mesh_and_engine):
    mesh, _ = mesh_and_engine
    with mesh.wire() as wire:
        wire.send(POST + HOST + b"x-long: " + b"a" * 66_000 + b"\r\n\r\n")
        answer = wire.answer()
    assert answer.status == 431 and answer.json()["error"]["code"] == "header_too_large"


def test_sixty_kilobytes_of_headers_are_taken(mesh_and_engine):
    mesh, engine = mesh_and_engine
    headers = {f"x-many-{i}": "v" * 990 for i in range(60)}
    assert mesh.post("/v1/chat/completions", BODY, headers=headers).status == 200
    assert engine.wait_whole().header("x-many-59") == "v" * 990


def test_a_head_that_never_ends_is_408(routed):
    mesh, _ = routed(client_head_timeout="200ms")
    with mesh.wire() as wire:
        wire.send(POST + HOST)
        started = time.monotonic()
        answer = wire.answer()
    assert answer.status == 408 and answer.json()["error"]["code"] == "request_timeout"
    assert time.monotonic() - started < 2 * SLOW


def test_a_body_that_pauses_is_408(routed):
    mesh, _ = routed(client_body_timeout="200ms")
    with mesh.wire() as wire:
        wire.send(POST + HOST + JSON + LENGTH + b"\r\n" + BODY[:5])
        answer = wire.answer()
    assert answer.status == 408 and answer.json()["error"]["code"] == "request_timeout"


def test_connections_over_the_limit_are_closed_at_once(routed):
    mesh, _ = routed(connections_max=2)
    wires = [mesh.wire() for _ in range(2)]
    for wire in wires:
        wire.request("GET", "/v1/models")
        assert wire.answer().status == 200
    with mesh.wire() as third:
        try:
            third.request("GET", "/v1/models")
            assert third.wait_closed() == b""
        except (BrokenPipeError, ConnectionResetError):
            pass
    for wire in wires:
        wire.close()

    def place_is_free() -> bool:
        try:
            return mesh.get("/v1/models").status == 200
        except (Closed, ConnectionError):
            return False

    eventually(place_is_free, "a place is free again")


# ---- paths and types
def test_an_unknown_path_is_404_in_the_envelope(mesh_and_engine):
    mesh, _ = mesh_and_engine
    for path in ("/", "/v1/nothing", "/v1", "/../etc/passwd", "/metrics"):
        answer = mesh.get(path)
        assert answer.status == 404 and answer.json()["error"]["code"] == "unknown_path", path


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_a_wrong_method_is_405_with_allow(mesh_and_engine, method):
    mesh, _ = mesh_and_engine
    with mesh.wire() as wire:
        wire.request(method, "/v1/chat/completions", b"")
        answer = wire.answer()
    assert answer.status == 405 and answer.header("allow") == "POST"
    assert answer.json()["error"]["code"] == "method_not_allowed"


def test_models_allow_get_only(mesh_and_engine):
    mesh, _ = mesh_and_engine
    answer = mesh.post("/v1/models", {})
    assert answer.status == 405 and "GET" in answer.header("allow")


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_that_is_not_json_by_its_type_is_415(mesh_and_engine, route):
    mesh, _ = mesh_and_engine
    answer = mesh.post(route, b"<m/>", headers={"content-type": "application/xml"})
    assert answer.status == 415


def test_what_curl_calls_its_data_is_let_through(mesh_and_engine):
    """curl -d announces form data whatever it sends."""
    mesh, _ = mesh_and_engine
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert mesh.post("/v1/chat/completions", BODY, headers=form).status == 200


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"nothing", b'{"model":"m"', b'{"model":"m",}', b'"m"', b'{"model":"m"}}']
)
def test_a_body_that_is_not_a_json_object_is_400(mesh_and_engine, body):
    mesh, _ = mesh_and_engine
    answer = mesh.post("/v1/chat/completions", body)
    assert answer.status == 400 and answer.json()["error"]["code"] in (
        "invalid_json",
        "missing_required_parameter",
    )


@pytest.mark.parametrize(
    "body", [b'{"model":7,"messages":[]}', b'{"model":"m","stream":"yes","messages":[]}']
)
def test_a_field_of_the_wrong_kind_is_named(mesh_and_engine, body):
    mesh, _ = mesh_and_engine
    answer = mesh.post("/v1/chat/completions", body)
    assert answer.status == 400 and answer.json()["error"]["param"] in ("model", "stream")


# ---- shards
@pytest.mark.parametrize("shards", [1, 2, 4])
def test_one_shard_is_as_good_as_many(routed, shards):
    mesh, engine = routed(shards=shards)
    wires = [mesh.wire() for _ in range(16)]
    for wire in wires:
        wire.request("POST", "/v1/chat/completions", BODY)
    assert [wire.answer().status for wire in wires] == [200] * 16
    for wire in wires:
        wire.close()
    assert mesh.status()["shards"] == shards


def test_there_is_a_shard_for_each_core(mesh_and_engine):
    mesh, _ = mesh_and_engine
    assert mesh.status()["shards"] == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    "answer_bytes",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 7\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx\0y: 1\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
    ],
)
def test_an_engine_that_does_not_speak_http_is_502(routed, answer_bytes):
    mesh, engine = routed()
    engine.default = fe.raw(answer_bytes, "close")
    answer = mesh.post("/v1/chat/completions", BODY)
    assert answer.status == 502 and answer.json()["error"]["code"] in (
        "upstream_bad_response",
        "upstream_reset",
    )


def test_an_empty_reason_and_no_content_type_are_taken(routed):
    mesh, engine = routed()
    body = json.dumps(fe.chat_body()).encode()
    engine.default = fe.raw(b"HTTP/1.1 200 \r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    assert mesh.post("/v1/chat/completions", BODY).body == body


def test_informational_answers_of_an_engine_are_skipped(routed):
    mesh, engine = routed()
    body = json.dumps(fe.chat_body()).encode()
    engine.default = fe.raw(
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
        % (len(body), body)
    )
    assert mesh.post("/v1/chat/completions", BODY).body == body
