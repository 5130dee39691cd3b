"""Queues, deadlines and priorities: every wait has an end, and the end has a name."""

import json
import threading
import time

import pytest
from harness import fake_engine as fe
from harness.routes import ROUTES, body_of
from harness.wait import SLOW, eventually, stays


class Waiting:
    """A request sent in the background."""

    def __init__(self, mesh, route="/v1/chat/completions", headers=None, **fields):
        self.wire = mesh.wire()
        self.wire.request("POST", route, json.dumps(body_of(route, **fields)).encode(), headers)

    def answer(self):
        with self.wire:
            return self.wire.answer()


@pytest.fixture
def busy(routed):
    """A router whose one engine holds one request and takes no second; `gate` lets it answer."""
    meshes = []

    def make(**settings):
        mesh, one = routed(in_flight_per_engine_max=1, shards=1, **settings)
        gate = threading.Event()
        one.default = fe.held(gate, fe.plausible)
        first = Waiting(mesh)
        one.wait_whole()
        meshes.append(gate)
        return mesh, one, gate, first

    yield make
    for gate in meshes:
        gate.set()


def queued(mesh, count) -> None:
    eventually(lambda: mesh.status()["queued"] == count, f"{count} requests wait")


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_waits_for_a_free_engine(busy, route):
    mesh, one, gate, first = busy()
    second = Waiting(mesh, route)
    queued(mesh, 1)
    stays(lambda: len(one.heard) == 1, "the engine is asked for one thing at a time", 0.05)
    gate.set()
    assert first.answer().status == 200 and second.answer().status == 200
    assert one.heard[1].target == route


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_is_refused_when_the_queue_is_full(busy, route):
    mesh, one, gate, first = busy(queue_max=0)
    answer = mesh.post(route, body_of(route))
    if route.startswith("/v1/messages"):
        assert answer.status == 529 and answer.json()["error"]["type"] == "overloaded_error"
    else:
        assert answer.status == 503 and answer.json()["error"]["code"] == "queue_full"
        assert answer.json()["error"]["type"] == "overloaded_error"
    assert (
        answer.header("x-should-retry") == "true"
        and 0 < int(answer.header("retry-after-ms")) <= 8000
    )
    assert answer.header("retry-after")


@pytest.mark.parametrize("route", ROUTES)
def test_no_route_waits_past_the_queues_deadline(busy, route):
    mesh, one, gate, first = busy(queue_timeout="150ms")
    started = time.monotonic()
    answer = mesh.post(route, body_of(route))
    assert answer.status == 504 and time.monotonic() - started < 1.5 * SLOW
    error = answer.json()["error"]
    assert (
        error["type"] == "timeout_error" and error.get("code", "queue_deadline") == "queue_deadline"
    )
    gate.set()
    assert first.answer().status == 200
    stays(lambda: len(one.heard) == 1, "what has timed out is never sent", 0.1)


@pytest.mark.parametrize(
    "header, value", [("x-infermesh-timeout-ms", "200"), ("x-stainless-read-timeout", "0.2")]
)
def test_the_clients_deadline_ends_the_wait_in_the_queue(busy, header, value):
    mesh, one, gate, first = busy()
    started = time.monotonic()
    answer = mesh.chat(headers={header: value})
    assert answer.status == 504 and time.monotonic() - started < 1.5 * SLOW
    assert answer.json()["error"]["code"] in ("deadline_exceeded", "queue_deadline")


@pytest.mark.parametrize(
    "header, value", [("x-infermesh-timeout-ms", "200"), ("x-stainless-read-timeout", "0.2")]
)
def test_the_clients_deadline_ends_the_wait_for_the_engine(routed, header, value):
    mesh, one = routed()
    one.default = fe.hang()
    answer = mesh.chat(headers={header: value})
    assert answer.status == 504 and answer.json()["error"]["code"] == "deadline_exceeded"
    eventually(lambda: one.heard[0].gone_at, "the engine is let go")


def test_a_deadline_that_is_no_number_is_refused_by_name(routed):
    mesh, one = routed()
    answer = mesh.chat(headers={"x-infermesh-timeout-ms": "soon"})
    assert answer.status == 400 and "x-infermesh-timeout-ms" in answer.body.decode()


@pytest.mark.parametrize(
    "low, high",
    [
        (
            {"headers": {"x-infermesh-priority": "low"}},
            {"headers": {"x-infermesh-priority": "high"}},
        ),
        ({"service_tier": "flex"}, {"service_tier": "priority"}),
    ],
)
def test_the_urgent_are_served_before_the_patient(busy, low, high):
    mesh, one, gate, first = busy()
    waiting = []
    for n, (kind, user) in enumerate([(low, "low"), (high, "high")]):
        waiting.append(Waiting(mesh, user=user, **kind))
        queued(mesh, n + 1)
    gate.set()
    assert [request.answer().status for request in [first, *waiting]] == [200] * 3
    assert [heard.json()["user"] for heard in one.heard[1:]] == ["high", "low"]


def test_equals_are_served_in_the_order_they_came(busy):
    mesh, one, gate, first = busy()
    waiting = []
    for n in range(4):
        waiting.append(Waiting(mesh, user=str(n)))
        queued(mesh, n + 1)
    gate.set()
    assert all(request.answer().status == 200 for request in [first, *waiting])
    assert [heard.json()["user"] for heard in one.heard[1:]] == ["0", "1", "2", "3"]


def test_the_urgent_take_the_place_of_the_patient_when_the_queue_is_full(busy):
    mesh, one, gate, first = busy(queue_max=1)
    low = Waiting(mesh, headers={"x-infermesh-priority": "low"})
    queued(mesh, 1)
    high = Waiting(mesh, headers={"x-infermesh-priority": "high"})
    shed = low.answer()
    assert shed.status == 429 and shed.json()["error"]["code"] == "shed"
    assert shed.json()["error"]["type"] == "rate_limit_error"
    assert shed.header("x-should-retry") == "true" and int(shed.header("retry-after-ms")) > 0
    gate.set()
    assert high.answer().status == 200


def test_a_priority_that_is_none_is_refused_by_name(routed):
    mesh, one = routed()
    answer = mesh.chat(headers={"x-infermesh-priority": "highest"})
    assert answer.status == 400 and "priority" in answer.body.decode()


def test_no_engine_at_all_is_503_with_advice(routed):
    mesh, one = routed()
    one.die()
    mesh.wait_state("e1", "down")
    answer = mesh.chat()
    assert answer.status == 503 and answer.json()["error"]["code"] == "no_healthy_backend"
    assert answer.header("x-should-retry") == "true" and int(answer.header("retry-after-ms")) > 0


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_names_the_nearest_model(routed, route):
    mesh, one = routed(models=("qwen3-14b",))
    answer = mesh.post(route, body_of(route, model="qwen3-14"))
    assert answer.status == 404 and "qwen3-14b" in answer.json()["error"]["message"]
    assert answer.header("x-should-retry") == "false"
    assert not one.heard, "real engines answer for any name; the router does not"


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_wants_a_model(routed, route):
    mesh, one = routed(models=("m", "another"))  # with a single one, tokenize needs no name
    body = body_of(route)
    del body["model"]
    answer = mesh.post(route, body)
    assert answer.status == 400 and "model" in answer.json()["error"]["message"]


def test_no_error_of_ours_lacks_who_what_and_next(busy):
    mesh, one, gate, first = busy(queue_max=0)
    message = mesh.chat().json()["error"]["message"]
    assert "pool m are busy" in message and "0 requests wait" in message
    assert message.endswith("Try again after retry-after-ms, or add engines to the pool.")
