"""`infermesh engine`: a vLLM look-alike that clients and routers cannot tell from the real one."""

import json
import re
import time

import openai
import pytest
from harness.wait import SLOW, eventually
from harness.wire import Wire, address_of, call

HELLO = [{"role": "user", "content": "What does a router do?"}]


def chat(url: str, headers=None, **fields):
    body = {"model": "sim", "messages": HELLO, "max_tokens": 8, **fields}
    return call(address_of(url), "POST", "/v1/chat/completions", body, headers)


@pytest.fixture
def url(sim_engine):
    return sim_engine()


def test_the_official_client_is_served(url):
    client = openai.OpenAI(base_url=url + "/v1", api_key="x", max_retries=0)
    answer = client.chat.completions.create(model="sim", messages=HELLO, max_tokens=8)
    assert answer.choices[0].message.content and answer.usage.completion_tokens == 8
    chunks = list(
        client.chat.completions.create(
            model="sim",
            messages=HELLO,
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert (
        chunks[0].choices[0].delta.role == "assistant" and chunks[-1].usage.completion_tokens == 8
    )
    assert client.completions.create(model="sim", prompt="hello", max_tokens=4).choices[0].text
    assert client.embeddings.create(model="sim", input="hello").data[0].embedding
    assert [found.id for found in client.models.list().data] == ["sim"]


def test_it_looks_like_vllm(url):
    address = address_of(url)
    models = call(address, "GET", "/v1/models").json()["data"]
    assert models[0]["owned_by"] == "vllm" and models[0]["max_model_len"] > 0
    assert call(address, "GET", "/health").status == 200
    assert call(address, "GET", "/version").json()["version"]
    metrics = call(address, "GET", "/metrics").body.decode()
    for name in (
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "vllm:kv_cache_usage_perc",
        "vllm:prefix_cache_queries_total",
        "vllm:prefix_cache_hits_total",
        "vllm:prompt_tokens_total",
        "vllm:generation_tokens_total",
        "vllm:time_to_first_token_seconds_bucket",
    ):
        assert re.search(rf"^{name}[{{ ]", metrics, re.M), name


def test_an_unknown_model_is_refused_as_vllm_does(url):
    answer = chat(url, model="nobody")
    assert answer.status == 404 and answer.json()["error"]["code"] == 404


def test_a_known_prefix_is_cached_and_told(url):
    text = "A long story about routers. " * 200
    first = chat(url, messages=[{"role": "user", "content": text}]).json()["usage"]
    second = chat(url, messages=[{"role": "user", "content": text + " And then?"}]).json()["usage"]
    assert (first.get("prompt_tokens_details") or {}).get("cached_tokens", 0) == 0
    assert second["prompt_tokens_details"]["cached_tokens"] > second["prompt_tokens"] * 0.8


def test_load_shows_in_the_metrics(url):
    with Wire(address_of(url)) as wire:
        body = {"model": "sim", "messages": HELLO, "max_tokens": 2000, "stream": True}
        wire.request("POST", "/v1/chat/completions", json.dumps(body).encode())
        wire.head()

        def running() -> float:
            text = call(address_of(url), "GET", "/metrics").body.decode()
            return float(re.search(r"^vllm:num_requests_running\S* (\S+)", text, re.M)[1])

        eventually(lambda: running() == 1, "one request runs")
    eventually(lambda: running() == 0, "a client that left is let go")


FAULTS = {
    "status=503,retry-after=2": lambda a: a.status == 503 and a.header("retry-after") == "2",
    "status=429": lambda a: a.status == 429 and a.json()["error"],
    "status=500": lambda a: a.status == 500,
    "content-type=text/html": lambda a: a.header("content-type").startswith("text/html"),
    "no-done": lambda a: a.whole and b"[DONE]" not in a.body,
    "cut=2": lambda a: not a.whole and b"[DONE]" not in a.body,
    "reset=2": lambda a: not a.whole,
    "bad-frame=2": lambda a: a.whole and any(not is_json(e.data) for e in a.events()[:-1]),
    "error-frame=2": lambda a: (
        a.whole and "error" in a.events()[-2].json() and a.events()[-1].data == "[DONE]"
    ),
}


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_can_be_asked_for_by_header(url, fault):
    answer = chat(url, headers={"x-fault": fault}, stream=True)
    assert FAULTS[fault](answer), answer
    assert chat(url).status == 200, "only that request is broken"


def test_a_fault_can_be_set_for_all_requests(sim_engine):
    assert chat(sim_engine("--fault", "status=503")).status == 503


def test_a_delay_delays(url):
    started = time.monotonic()
    assert chat(url, headers={"x-fault": "delay=300ms"}).status == 200
    assert time.monotonic() - started >= 0.3


def test_a_broken_chunk_is_broken(url):
    with pytest.raises(AssertionError):
        chat(url, headers={"x-fault": "bad-chunk=1"}, stream=True)


def test_an_unknown_fault_is_refused(url):
    answer = chat(url, headers={"x-fault": "explode"})
    assert answer.status == 400


def test_a_hundred_engines_fit_in_one_process(sim_engine):
    urls = sim_engine(count=100)
    assert len(set(urls)) == 100
    for url in (urls[0], urls[50], urls[99]):
        assert chat(url).status == 200
    status = open(f"/proc/{sim_engine.programs[-1].pid}/status").read()
    resident = int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024
    assert resident < 400 * SLOW, f"{resident:.0f} MiB"


def test_the_router_cannot_tell_it_from_vllm(start, url):
    mesh = start.up(url)
    found = next(iter(mesh.engines().values()))
    assert found["runtime"] == "vllm" and found["models"] == ["sim"]
    answer = mesh.chat(model="sim", stream=True, max_tokens=5)
    assert answer.whole and answer.events()[-1].data == "[DONE]"


@pytest.mark.parametrize(
    "fault", ["cut=2", "reset=2", "bad-chunk=2", "bad-frame=2", "error-frame=2", "no-done"]
)
def test_the_router_never_ends_a_broken_stream_cleanly(start, url, fault):
    """x-fault is an ordinary header: the router passes it on."""
    mesh = start.up(url)
    answer = mesh.chat(model="sim", stream=True, max_tokens=20, headers={"x-fault": fault})
    assert answer.status == 200 and not answer.whole
    assert answer.events()[-1].json()["error"]["message"]
