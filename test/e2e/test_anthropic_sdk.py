"""The official Anthropic client on /v1/messages of real llama.cpp servers."""

import anthropic
import pytest
from harness import fake_engine as fe

HELLO = [{"role": "user", "content": "What does a router do?"}]


def client_of(mesh) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=mesh.url, api_key="any key", max_retries=0)


@pytest.fixture
def client(start, llama):
    return client_of(start.up(*llama))


def test_a_message_is_answered(client):
    answer = client.messages.create(model="tiny-llama", max_tokens=12, messages=HELLO)
    assert answer.content[0].text and answer.usage.output_tokens > 0 and answer.role == "assistant"
    assert answer._request_id


def test_a_message_stream_ends_with_its_stop(client):
    with client.messages.stream(model="tiny-llama", max_tokens=12, messages=HELLO) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert kinds[0] == "message_start" and "message_stop" in kinds
    assert final.content[0].text and final.stop_reason in ("end_turn", "max_tokens")


def test_tokens_are_counted(client):
    few = client.messages.count_tokens(model="tiny-llama", messages=HELLO)
    many = client.messages.count_tokens(
        model="tiny-llama", messages=HELLO, system="Speak of routers, and of nothing else at all."
    )
    assert 0 < few.input_tokens < many.input_tokens


@pytest.mark.parametrize("credential", ["api_key", "auth_token"])
def test_either_credential_is_taken_and_neither_leaves_the_mesh(routed, credential):
    mesh, engine = routed()
    engine.default = fe.json_reply({"input_tokens": 3})
    client = anthropic.Anthropic(
        base_url=mesh.url, max_retries=0, default_headers={"anthropic-beta": "b1"}, **{
            "api_key": None, "auth_token": None, credential: "secret-of-the-client"
        }
    )
    assert client.messages.count_tokens(model="m", messages=HELLO).input_tokens == 3
    heard = engine.wait_whole()
    assert b"secret-of-the-client" not in heard.head
    assert heard.header("anthropic-version") and heard.header("anthropic-beta") == "b1"


def test_an_engines_own_errors_get_the_envelope(routed):
    mesh, engine = routed()
    engine.then(fe.json_reply({"detail": "The prompt is too long."}, 413))
    with pytest.raises(anthropic.RequestTooLargeError) as raised:
        client_of(mesh).messages.create(model="m", max_tokens=4, messages=HELLO)
    body = raised.value.body
    assert body["error"] == {"type": "request_too_large", "message": "The prompt is too long."}
    assert body["request_id"] == raised.value.response.headers["request-id"]


def test_an_unknown_model_has_the_anthropic_envelope(client):
    with pytest.raises(anthropic.NotFoundError) as raised:
        client.messages.create(model="tiny-lama", max_tokens=4, messages=HELLO)
    body = raised.value.body
    assert body["type"] == "error" and body["error"]["type"] == "not_found_error"
    assert "tiny-llama" in body["error"]["message"] and body["request_id"]
    assert raised.value.response.headers["request-id"] == body["request_id"]


def test_no_engine_is_overloaded(start, fake):
    engine = fake("m")
    mesh = start.up(engine.url)
    engine.die()
    mesh.wait_state(next(iter(mesh.engines())), "down")
    with pytest.raises(anthropic.APIStatusError) as raised:
        client_of(mesh).messages.create(model="m", max_tokens=4, messages=HELLO)
    assert (
        raised.value.status_code == 529 and raised.value.body["error"]["type"] == "overloaded_error"
    )


def test_a_broken_stream_raises(routed):
    mesh, engine = routed()
    begin = {
        "type": "message_start",
        "message": {
            "id": "1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "usage": {"input_tokens": 1, "output_tokens": 0},
        },
    }
    engine.then(fe.stream(fe.event(begin, "message_start"), end="close"))
    with pytest.raises(anthropic.APIError):
        with client_of(mesh).messages.stream(model="m", max_tokens=4, messages=HELLO) as stream:
            list(stream)
