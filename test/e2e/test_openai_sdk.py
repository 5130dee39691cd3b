"""The official OpenAI client, unmodified, on real llama.cpp servers; only its base URL differs."""

import openai
import pytest
from harness import fake_engine as fe

HELLO = [{"role": "user", "content": "What does a router do?"}]


def client_of(mesh, **options) -> openai.OpenAI:
    return openai.OpenAI(base_url=mesh.url + "/v1", api_key="any key", max_retries=0, **options)


@pytest.fixture
def mesh(start, llama):
    return start.up(*llama)


@pytest.fixture
def client(mesh):
    return client_of(mesh)


def test_chat_answers_with_text_and_usage(client):
    answer = client.chat.completions.create(model="tiny-llama", messages=HELLO, max_tokens=12)
    assert answer.choices[0].message.content and answer.choices[0].finish_reason in (
        "stop",
        "length",
    )
    assert answer.usage.prompt_tokens > 5 and 1 <= answer.usage.completion_tokens <= 12
    assert answer.model == "tiny-llama"


def test_completions_answer(client):
    answer = client.completions.create(model="tiny-llama", prompt="The router", max_tokens=8)
    assert answer.choices[0].text


def test_a_chat_stream_has_no_usage_chunk_unless_asked(client):
    chunks = list(
        client.chat.completions.create(
            model="tiny-llama", messages=HELLO, max_tokens=12, stream=True
        )
    )
    assert all(chunk.choices for chunk in chunks), "clients index choices[0]"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert sum(chunk.choices[0].finish_reason is not None for chunk in chunks) == 1


def test_a_chat_stream_ends_with_usage_when_asked(client):
    chunks = list(
        client.chat.completions.create(
            model="tiny-llama",
            messages=HELLO,
            max_tokens=12,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0


def test_a_completion_stream_works(client):
    chunks = list(
        client.completions.create(
            model="tiny-llama", prompt="The router", max_tokens=8, stream=True
        )
    )
    assert "".join(chunk.choices[0].text for chunk in chunks)


def test_responses_answer_and_stream(client):
    answer = client.responses.create(
        model="tiny-llama", input="What does a router do?", max_output_tokens=12
    )
    assert answer.output_text and answer.usage.output_tokens > 0
    kinds = [
        event.type
        for event in client.responses.create(
            model="tiny-llama", input="Hello", max_output_tokens=12, stream=True
        )
    ]
    assert kinds[0] == "response.created" and kinds[-1] in (
        "response.completed",
        "response.incomplete",
    )


def test_embeddings_come_from_the_engine_that_serves_them(start, llama, llama_embeddings):
    client = client_of(start.up(*llama, llama_embeddings))
    answer = client.embeddings.create(model="tiny-embed", input=["a router", "a replica"])
    assert len(answer.data) == 2 and len(answer.data[0].embedding) == 640


def test_models_are_listed_once_and_found_by_id(start, llama, llama_embeddings):
    client = client_of(start.up(*llama, llama_embeddings))
    models = client.models.list().data
    assert [model.id for model in models] == ["tiny-embed", "tiny-llama"]
    assert all(
        model.object == "model" and model.owned_by and model.created is not None for model in models
    )
    assert client.models.retrieve("tiny-llama").id == "tiny-llama"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("tiny-lama")


def test_both_engines_take_part(start, llama):
    client = client_of(start.up(*llama, default_policy="round_robin"))
    engines = set()
    for _ in range(4):
        raw = client.chat.completions.with_raw_response.create(
            model="tiny-llama", messages=HELLO, max_tokens=2
        )
        engines.add(raw.headers["x-infermesh-engine"])
    assert len(engines) == 2


def test_an_unknown_model_is_not_found_and_the_nearest_is_named(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="tiny-lama", messages=HELLO)
    assert raised.value.code == "model_not_found" and raised.value.param == "model"
    assert "tiny-llama" in raised.value.message


def test_a_missing_model_is_a_bad_request(client):
    with pytest.raises(openai.BadRequestError) as raised:
        client.post("/chat/completions", body={"messages": HELLO}, cast_to=object)
    assert raised.value.code == "missing_required_parameter" and raised.value.param == "model"


def test_no_engine_is_an_overload_that_may_be_tried_again(start, fake):
    engine = fake("m")
    mesh = start.up(engine.url)
    engine.die()
    with pytest.raises(openai.InternalServerError) as raised:
        client_of(mesh).chat.completions.create(model="m", messages=HELLO)
    assert raised.value.status_code in (502, 503)
    assert raised.value.response.headers["x-should-retry"] in ("true", "false")


def test_an_engine_that_breaks_in_mid_stream_raises(routed):
    mesh, engine = routed()
    engine.then(fe.stream(*fe.chat_pieces()[:2], end="reset"))
    with pytest.raises(openai.APIError) as raised:
        list(client_of(mesh).chat.completions.create(model="m", messages=HELLO, stream=True))
    assert raised.value.code == "stream_truncated"


def test_a_refusal_of_the_engine_keeps_its_words(client):
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="tiny-llama", messages=HELLO, temperature="hot")
    assert "type" in raised.value.message or "temperature" in raised.value.message


def test_every_answer_has_a_request_id(client):
    answer = client.chat.completions.create(model="tiny-llama", messages=HELLO, max_tokens=2)
    assert answer._request_id


def test_the_client_may_ask_many_at_once(mesh):
    from concurrent.futures import ThreadPoolExecutor

    client = client_of(mesh)

    def ask(i: int) -> str:
        stream = client.chat.completions.create(
            model="tiny-llama",
            stream=True,
            max_tokens=16,
            messages=[{"role": "user", "content": f"Question {i}"}],
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(48)))
