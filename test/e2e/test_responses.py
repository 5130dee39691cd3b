"""The Responses API by OpenAI's client: what one engine keeps, and streams as the simulated engine
makes them.
"""

import openai
import pytest
from harness import fake_engine as fe


def client_of(mesh) -> openai.OpenAI:
    return openai.OpenAI(base_url=mesh.url + "/v1", api_key="any key", max_retries=0)


def response(number: str, **more: object) -> dict:
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": "completed",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **more,
    }


@pytest.fixture
def keeping(routed):
    """Two engines that keep what they answer: (client, engines). e1 has made resp_1, e2 resp_2."""
    mesh, engines = routed(2, default_policy="round_robin")

    def keeps(engine, number):
        async def page(exchange: fe.Exchange) -> None:
            if exchange.heard.target.startswith(f"/v1/responses/resp_{number}"):
                engine.fetched.append(exchange.heard.target)
                await fe.json_reply(response(number, metadata={"from": number}))(exchange)
            else:
                await engine.answer_poll(exchange)

        engine.fetched = []
        engine.poll_reply = page
        engine.default = fe.json_reply(response(number, metadata={"from": number}))

    for index, engine in enumerate(engines, 1):
        keeps(engine, str(index))
    client = client_of(mesh)
    made = {client.responses.create(model="m", input="hi").id for _ in range(4)}
    assert made == {"resp_1", "resp_2"}
    for engine in engines:
        engine.heard.clear()
    return client, engines


@pytest.mark.parametrize("number", ["1", "2"])
def test_a_kept_response_is_gone_on_from_fetched_cancelled_and_deleted(keeping, number):
    client, engines = keeping
    mine = engines[int(number) - 1]
    key = f"resp_{number}"
    for _ in range(3):
        answer = client.responses.create(model="m", input="and?", previous_response_id=key)
        assert answer.metadata["from"] == number
    assert client.responses.retrieve(key).metadata["from"] == number
    assert client.responses.cancel(key).metadata["from"] == number
    client.responses.delete(key)
    assert mine.fetched == [f"/v1/responses/{key}"]
    assert [(heard.method, heard.target) for heard in mine.heard[3:]] == [
        ("POST", f"/v1/responses/{key}/cancel"),
        ("DELETE", f"/v1/responses/{key}"),
    ]
    assert not engines[2 - int(number)].heard


def test_a_response_that_nobody_keeps_is_not_found(keeping):
    client, engines = keeping
    calls = (
        lambda: client.responses.retrieve("resp_9"),
        lambda: client.responses.cancel("resp_9"),
        lambda: client.responses.delete("resp_9"),
        lambda: client.responses.create(model="m", input="x", previous_response_id="resp_9"),
    )
    for call in calls:
        with pytest.raises(openai.NotFoundError) as raised:
            call()
        assert raised.value.code == "response_not_found"
    assert not engines[0].heard and not engines[1].heard


def test_a_stream_has_every_event_in_order_and_its_usage(start, sim_engine):
    mesh = start.up(sim_engine())
    stream = client_of(mesh).responses.create(
        model="sim", input="Tell me of routers.", max_output_tokens=8, stream=True
    )
    events = list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type in ("response.completed", "response.incomplete")
    usage = events[-1].response.usage
    assert usage.output_tokens == mesh.metric("infermesh_tokens_total", model="sim", kind="output")
    assert usage.input_tokens == mesh.metric("infermesh_tokens_total", model="sim", kind="prompt")


def test_a_failed_stream_is_passed_whole_and_counted_as_failed(routed):
    mesh, engine = routed()
    events = [
        {"type": "response.created", "sequence_number": 0, "response": response("1")},
        {
            "type": "response.failed",
            "sequence_number": 1,
            "response": response(
                "1", status="failed", error={"code": "server_error", "message": "It broke."}
            ),
        },
    ]
    engine.then(fe.stream(*(fe.event(one, one["type"]) for one in events)))
    got = list(client_of(mesh).responses.create(model="m", input="x", stream=True))
    assert [event.type for event in got] == ["response.created", "response.failed"]
    assert got[1].response.error.message == "It broke."
