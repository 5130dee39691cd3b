"""The official Ollama client, on scripted Ollamas: no real one can be had in these tests."""

import json

import ollama
import pytest
from harness import fake_engine as fe
from harness import ollama_engine as oe
from harness.mesh import engine
from harness.wait import eventually

RUNTIME = "ollama"
HELLO = [{"role": "user", "content": "What does a router do?"}]


@pytest.fixture
def served(start, fake):
    """A mesh of `count` Ollamas that have `models`: (mesh, engines, client)."""

    def make(count=1, models=("m",), **settings):
        engines = [oe.as_ollama(fake(*models)) for _ in range(count)]
        objects = [
            engine(f"e{i + 1}", one.url, runtime=RUNTIME) for i, one in enumerate(engines)
        ]
        mesh = start.run(objects, **settings)
        return mesh, engines, ollama.Client(host=mesh.url)

    return make


def test_a_chat_is_answered_whole_and_as_a_stream(served):
    mesh, (one,), client = served()
    whole = client.chat(model="m", messages=HELLO)
    assert whole.message.content == "one two three" and whole.done and whole.eval_count == 3
    parts = list(client.chat(model="m", messages=HELLO, stream=True))
    assert "".join(part.message.content for part in parts) == "one two three"
    assert [part.done for part in parts] == [False, False, False, True]
    assert parts[-1].prompt_eval_count == 26
    assert [heard.target for heard in one.heard] == ["/api/chat"] * 2
    counted = mesh.metric("infermesh_tokens_total", model="m", kind="output")
    assert counted == 6


def test_text_is_generated_and_embedded_and_models_are_shown(served):
    mesh, (one,), client = served()
    assert client.generate(model="m", prompt="hi").response == "one two three"
    parts = client.generate(model="m", prompt="hi", stream=True, options={"num_predict": 4})
    assert "".join(part.response for part in parts) == "one two three"
    assert len(client.embed(model="m", input=["a", "b"]).embeddings) == 2
    assert client.show("m").details.family == "llama"
    assert [heard.target for heard in one.heard] == [
        "/api/generate",
        "/api/generate",
        "/api/embed",
        "/api/show",
    ]


def test_a_body_that_says_nothing_of_streams_gets_lines_and_passes_unchanged(served):
    mesh, (one,), _ = served()
    body = b'{ "model":"m", "messages":[{"role":"user","content":"hi"}],"keep_alive":"5m"}'
    answer = mesh.post("/api/chat", body)
    assert answer.header("content-type") == "application/x-ndjson"
    assert answer.body == b"".join(
        oe.line(part)
        for part in [oe.said("one "), oe.said("two "), oe.said("three"), oe.end(oe.said)]
    )
    assert bytes(one.wait_whole().body) == body


def test_models_are_listed_in_ollamas_form(served):
    mesh, _, client = served(models=("llama3:latest", "phi:3b"))
    listed = {model.model for model in client.list().models}
    assert listed == {"llama3:latest", "phi:3b"}
    assert {model.model for model in client.ps().models} == listed
    assert mesh.get("/api/version").json() == {"version": "0.33.0"}


def test_a_name_without_its_tag_means_latest(served):
    mesh, (one,), client = served(models=("llama3:latest", "phi:3b"))
    answer = client.chat(model="llama3", messages=HELLO)
    assert answer.model == "llama3" and one.heard[0].target == "/api/chat"
    with pytest.raises(ollama.ResponseError) as raised:
        client.chat(model="phi", messages=HELLO)
    assert raised.value.status_code == 404 and "phi:3b" in raised.value.error


def test_an_engines_error_keeps_its_words(served):
    mesh, (one,), client = served()
    one.then(fe.json_reply({"error": "this model does not think"}, 400))
    with pytest.raises(ollama.ResponseError) as raised:
        client.chat(model="m", messages=HELLO)
    assert raised.value.error == "this model does not think"
    assert raised.value.status_code == 400


@pytest.mark.parametrize("finish", ["close", "clean"])
def test_a_broken_stream_raises(served, finish):
    mesh, (one,), client = served()
    one.then(oe.lines(oe.line(oe.said("one ")), finish=finish))
    with pytest.raises(ollama.ResponseError, match="without its last event"):
        list(client.chat(model="m", messages=HELLO, stream=True))
    one.then(oe.lines(oe.line(oe.said("one ")), finish=finish))
    answer = mesh.post("/api/chat", {"model": "m", "messages": HELLO})
    assert not answer.whole and answer.body.count(b"\n") == 2
    assert list(json.loads(answer.body.splitlines()[1])) == ["error"]


def test_leaving_a_stream_cancels_it(served):
    mesh, (one,), client = served()
    one.then(oe.lines(oe.line(oe.said("one ")), finish="hang"))
    for part in client.chat(model="m", messages=HELLO, stream=True):
        assert part.message.content == "one "
        break
    client._client.close()
    eventually(lambda: one.heard[0].gone_at, "the engine's connection is closed")


def test_only_ollamas_are_asked(start, fake):
    other, one = fake("m"), oe.as_ollama(fake("m"))
    mesh = start.run([engine("e1", other.url), engine("e2", one.url, runtime=RUNTIME)])
    client = ollama.Client(host=mesh.url)
    for _ in range(4):
        assert client.chat(model="m", messages=HELLO).message.content == "one two three"
    assert not other.heard and len(one.heard) == 4


def test_models_are_not_managed_through_the_mesh(served):
    mesh, (one,), client = served()
    for call in (lambda: client.pull("x"), lambda: client.delete("m"), lambda: client.copy("m", "n")):
        with pytest.raises(ollama.ResponseError) as raised:
            call()
        assert raised.value.status_code == 403 and "not passed on" in raised.value.error
    assert not one.heard
