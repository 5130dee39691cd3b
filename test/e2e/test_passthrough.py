"""What goes through untouched, and the few bytes that are changed on purpose."""

import json

import pytest
from harness import fake_engine as fe
from harness.mesh import engine, model, pool
from harness.routes import ROUTES, STREAMING, body_of
from harness.wire import Wire, request_bytes

ODD_BODY = (
    b'{ "model" :\t"m",\r\n "messages":[{"role":"user","content":'
    b'"h\\u00e9 \xf0\x9f\x90\x99 \\/ \\ud83d\\ude00"}],'
    b'"temperature":1.0e0, "big":123456789012345678901234567890,"logit_bias":{"50256":-100},'
    b'"x_vendor":{"a":[null,true,{"deep":[[[[]]]]}]},"seed":-0, "empty":"", "twice":1,"twice":2 }\n'
)


def contiguous_change(before: bytes, after: bytes) -> tuple[bytes, bytes]:
    """The one stretch in which the two differ: (what was there, what is there now)."""
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return before[start : len(before) - end], after[start : len(after) - end]


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_passes_its_body_byte_for_byte(routed, route):
    mesh, one = routed()
    body = json.dumps(body_of(route, vendor_field={"keep": [1, None]}), indent=3).encode()
    answer = mesh.post(route, body)
    assert answer.status == 200, answer.body
    heard = one.wait_whole()
    assert bytes(heard.body) == body and heard.target == route and heard.method == "POST"


def test_odd_but_valid_json_survives_to_the_byte(routed):
    mesh, one = routed()
    assert mesh.post("/v1/chat/completions", ODD_BODY).status == 200
    assert bytes(one.wait_whole().body) == ODD_BODY


def test_the_answer_survives_to_the_byte(routed):
    mesh, one = routed()
    body = b'{ "id":"x",  "model":"m","choices":[],"odd" : 1e2,"usage":{"prompt_tokens":1}}\n\n'
    one.then(
        fe.body_reply(body, "application/json", 200, {"x-engine-note": "kept", "server": "hidden"})
    )
    answer = mesh.post("/v1/chat/completions", body_of("/v1/chat/completions"))
    assert answer.body == body and answer.header("x-engine-note") == "kept"
    assert answer.header("content-type") == "application/json"


@pytest.mark.parametrize("base", ["", "/openai/v1", "/anthropic/v1"])
def test_other_base_paths_reach_the_same_route(routed, base):
    mesh, one = routed()
    assert mesh.post(base + "/chat/completions", body_of("/v1/chat/completions")).status == 200
    assert one.wait_whole().target == "/v1/chat/completions"


def test_a_query_is_passed_on(routed):
    mesh, one = routed()
    assert mesh.post("/v1/messages?beta=true", body_of("/v1/messages")).status == 200
    assert one.wait_whole().target == "/v1/messages?beta=true"


# ---- headers
def test_credentials_and_connection_headers_stay_here(routed):
    mesh, one = routed()
    headers = {
        "authorization": "Bearer secret",
        "x-api-key": "secret",
        "api-key": "secret",
        "x-goog-api-key": "secret",
        "x-infermesh-priority": "high",
        "connection": "close, x-private",
        "x-private": "1",
        "te": "trailers",
        "keep-alive": "timeout=5",
        "proxy-authorization": "secret",
        "accept-encoding": "gzip, br",
        "x-kept": "yes",
        "anthropic-beta": "b1",
        "user-agent": "test/1",
    }
    assert (
        mesh.post("/v1/chat/completions", body_of("/v1/chat/completions"), headers=headers).status
        == 200
    )
    heard = one.wait_whole()
    assert b"secret" not in heard.head and b"x-infermesh" not in heard.head.lower()
    for name in ("x-private", "te", "keep-alive", "proxy-authorization"):
        assert heard.header(name) is None, name
    assert heard.header("x-kept") == "yes" and heard.header("anthropic-beta") == "b1"
    assert heard.header("accept-encoding") == "identity"
    assert heard.header("host") == f"127.0.0.1:{one.port}"


def test_the_engines_own_key_is_sent(start, fake):
    one = fake()
    mesh = start.run(
        [engine("e1", one.url, api_key_env="ENGINE_KEY")], env={"ENGINE_KEY": "sk-engine"}
    )
    assert mesh.chat(headers={"authorization": "Bearer client"}).status == 200
    assert one.wait_whole().header("authorization") == "Bearer sk-engine"
    assert "sk-engine" not in mesh.log() + mesh.ask("/api/engines").body.decode()


def test_a_real_engine_with_a_key_is_served(start, own_llama):
    server = own_llama(1, "--api-key", "sk-engine")[0]
    mesh = start.run(
        [engine("e1", server.url, api_key_env="ENGINE_KEY")], env={"ENGINE_KEY": "sk-engine"}
    )
    assert mesh.chat(model="tiny-llama", max_tokens=2).status == 200


def test_request_ids_go_both_ways(routed):
    mesh, one = routed()
    answer = mesh.chat(headers={"x-request-id": "my-id.1"})
    assert answer.header("x-request-id") == "my-id.1"
    assert one.wait_whole().header("x-request-id").startswith("my-id.1")
    minted = mesh.chat(headers={"x-request-id": "bad id !"}).header("x-request-id")
    assert minted and minted != "bad id !"


def test_traceparent_is_continued(routed):
    mesh, one = routed()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    mesh.chat(headers={"traceparent": trace, "tracestate": "v=1", "baggage": "k=v"})
    heard = one.wait_whole()
    assert heard.header("traceparent").split("-")[1] == trace.split("-")[1]
    assert heard.header("tracestate") == "v=1" and heard.header("baggage") == "k=v"


# ---- model rename
@pytest.fixture
def renamed(start, fake):
    one = fake("m")
    return start.run(
        [
            engine("e1", one.url),
            pool("p", ["e1"]),
            model("public", "p", served_name="m", aliases=["other-name"]),
        ]
    ), one


@pytest.mark.parametrize("written", [b'"public"', b'"other-name"', b'"publ\\u0069c"'])
def test_a_renamed_model_changes_only_its_value(renamed, written):
    mesh, one = renamed
    body = (
        b'{"a" : 1, "model" : '
        + written
        + b',"messages":[{"role":"user","content":"the \\"model\\":\\"public\\""}]}'
    )
    answer = mesh.post("/v1/chat/completions", body)
    assert answer.status == 200, answer.body
    assert bytes(one.wait_whole().body) == body.replace(
        b'"model" : ' + written, b'"model" : "m"', 1
    )


def test_the_answer_carries_the_name_that_the_client_used(renamed):
    mesh, one = renamed
    assert mesh.chat(model="public").json()["model"] == "public"
    stream = mesh.chat(model="public", stream=True)
    assert {event.json()["model"] for event in stream.events()[:-1]} == {"public"}
    assert mesh.chat(model="other-name").json()["model"] == "other-name"


def test_models_lists_the_public_name(renamed):
    mesh, _ = renamed
    assert "public" in [entry["id"] for entry in mesh.get("/v1/models").json()["data"]]


def test_models_are_listed_over_all_pools(start, fake):
    one, two = fake("a", "b"), fake("b", "c")
    mesh = start.run(
        [
            engine("e1", one.url),
            engine("e2", two.url),
            pool("p", ["e1"]),
            pool("q", ["e2"]),
            model("second-b", "q", served_name="b"),
        ]
    )
    listed = mesh.get("/v1/models").json()
    names = [entry["id"] for entry in listed["data"]]
    assert listed["object"] == "list" and len(names) == len(set(names))
    assert {"a", "b", "c", "second-b"} <= set(names)
    for entry in listed["data"]:
        assert entry["object"] == "model" and {"id", "created", "owned_by"} <= set(entry)
        assert mesh.get(f"/v1/models/{entry['id']}").json() == entry


# ---- usage
@pytest.mark.parametrize(
    "options",
    [
        b"",
        b',"stream_options":null',
        b',"stream_options":{}',
        b',"stream_options":{"include_usage":false,"x":1}',
    ],
)
def test_usage_is_asked_for_with_one_small_change(routed, options):
    mesh, one = routed()
    body = (
        b'{"model":"m","stream" : true, "messages":[{"role":"user","content":"hi"}]'
        + options
        + b',"z":[1, 2]}'
    )
    assert mesh.post("/v1/chat/completions", body).status == 200
    upstream = bytes(one.wait_whole().body)
    was, now = contiguous_change(body, upstream)
    assert len(was) <= len(options) and b"messages" not in now
    asked = json.loads(upstream)
    assert asked["stream_options"]["include_usage"] is True and asked["z"] == [1, 2]
    if b'"x"' in options:
        assert asked["stream_options"]["x"] == 1


def test_a_stream_that_asks_for_usage_goes_through_untouched(routed):
    mesh, one = routed()
    body = json.dumps(
        body_of("/v1/chat/completions", stream=True, stream_options={"include_usage": True})
    ).encode()
    answer = mesh.post("/v1/chat/completions", body)
    assert bytes(one.wait_whole().body) == body
    assert answer.events()[-2].json()["usage"] == fe.USAGE and answer.events()[-1].data == "[DONE]"


@pytest.mark.parametrize("route", ["/v1/responses", "/v1/messages"])
def test_routes_that_always_tell_usage_are_not_asked(routed, route):
    mesh, one = routed()
    body = json.dumps(body_of(route, stream=True)).encode()
    kind = "response.completed" if route == "/v1/responses" else "message_stop"
    one.then(fe.stream(fe.event({"type": kind}, kind)))
    assert mesh.post(route, body).whole
    assert bytes(one.wait_whole().body) == body


def test_the_usage_that_nobody_asked_for_is_taken_out_and_nothing_else(routed):
    mesh, one = routed()
    pieces = fe.chat_pieces(usage=True)
    one.then(fe.stream(*pieces))
    answer = mesh.chat(stream=True)
    assert answer.whole and answer.body == b"".join(
        piece for piece in pieces if b'"choices": []' not in piece
    )
    record = mesh.decision(answer)["attempts"][-1]
    assert (
        record["prompt_tokens"] == 7
        and record["cached_tokens"] == 4
        and record["output_tokens"] == 3
    )


def test_usage_asking_can_be_switched_off(routed):
    mesh, one = routed(usage_ask="off")
    body = json.dumps(body_of("/v1/chat/completions", stream=True)).encode()
    assert mesh.post("/v1/chat/completions", body).whole
    assert bytes(one.wait_whole().body) == body


@pytest.mark.parametrize("route", STREAMING)
def test_a_body_that_does_not_stream_is_never_changed(routed, route):
    mesh, one = routed()
    body = json.dumps(body_of(route, stream=False)).encode()
    assert mesh.post(route, body).status == 200
    assert bytes(one.wait_whole().body) == body


# ---- engines' own errors
@pytest.mark.parametrize(
    "said, message",
    [
        (
            {
                "error": {
                    "message": "temperature too hot",
                    "type": "BadRequestError",
                    "param": None,
                    "code": 400,
                }
            },
            "temperature too hot",
        ),
        (
            {
                "object": "error",
                "message": "temperature too hot",
                "type": "BadRequestError",
                "code": 400,
            },
            "temperature too hot",
        ),
        ({"error": "temperature too hot"}, "temperature too hot"),
        ({"detail": "temperature too hot"}, "temperature too hot"),
    ],
)
def test_an_engines_refusal_gets_the_right_envelope_and_keeps_its_words(routed, said, message):
    mesh, one = routed()
    one.default = fe.json_reply(said, 400)
    answer = mesh.chat()
    error = answer.json()["error"]
    assert answer.status == 400 and error["message"] == message
    assert set(error) >= {"message", "type", "param", "code"}
    assert len(one.heard) == 1, "a refusal is not retried"


@pytest.mark.parametrize("status", [200, 500, 502, 404])
def test_html_is_never_forwarded(routed, status):
    mesh, one = routed()
    one.default = fe.body_reply(
        b"<html><h1>nginx</h1>Traceback: secret/path.py</html>", "text/html", status
    )
    answer = mesh.chat()
    assert answer.status >= 400 and b"<h" not in answer.body and b"secret" not in answer.body
    assert answer.json()["error"]["message"] and answer.json()["error"]["type"]


def test_a_refusal_on_messages_has_the_anthropic_envelope(routed):
    mesh, one = routed()
    one.default = fe.json_reply(
        {"error": {"message": "too hot", "type": "BadRequestError", "code": 400}}, 400
    )
    answer = mesh.post("/v1/messages", body_of("/v1/messages"))
    assert answer.status == 400 and answer.json()["type"] == "error"
    assert (
        answer.json()["error"] == {"type": "invalid_request_error", "message": "too hot"}
        and answer.json()["request_id"]
    )


def test_pipelined_bodies_do_not_mix(routed):
    mesh, one = routed()
    bodies = [json.dumps(body_of("/v1/chat/completions", n=i)).encode() for i in range(1, 4)]
    with Wire(mesh.address) as wire:
        wire.send(b"".join(request_bytes("POST", "/v1/chat/completions", body) for body in bodies))
        assert [wire.answer().status for _ in bodies] == [200] * 3
    assert [bytes(heard.body) for heard in one.heard] == bodies
