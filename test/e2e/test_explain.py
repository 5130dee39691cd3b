"""Every decision can be asked about: in the answer's headers, on the admin listener, on the command
line.
"""

import json
import re
import threading

import pytest
from harness import fake_engine as fe
from harness.mesh import engine, model, policy, pool
from harness.routes import ROUTES, body_of
from harness.wait import eventually

POLICIES = [
    "expected_latency",
    "round_robin",
    "random",
    "least_request",
    "power_of_two",
    "session",
    "prefix_affinity",
]


def test_answers_say_which_engine_and_why(routed):
    mesh, _ = routed(2)
    for answer in (mesh.chat(), mesh.chat(stream=True)):
        assert answer.header("x-infermesh-engine") in ("e1", "e2")
        assert answer.header("x-infermesh-attempts") == "1" and answer.header("x-infermesh-reason")


def test_the_headers_can_be_switched_off(routed):
    mesh, _ = routed(decision_headers="off")
    answer = mesh.chat()
    assert answer.status == 200 and answer.header("x-request-id")
    assert not [name for name, _ in answer.headers if name.startswith("x-infermesh")]


@pytest.mark.parametrize("route", ROUTES)
def test_a_decision_is_kept_with_its_facts(routed, route):
    mesh, _ = routed(2)
    record = mesh.decision(mesh.post(route, body_of(route)))
    assert record["model"] == "m" and record["status"] == 200 and record["attempts_total"] == 1
    decision = record["attempts"][0]["decision"]
    assert decision["engine"] == record["engine"] and decision["policy"] == "expected_latency"
    assert decision["reason"] and {found["engine"] for found in decision["candidates"]} == {
        "e1",
        "e2",
    }
    for found in decision["candidates"]:
        assert {
            "score",
            "in_flight",
            "cached_tokens",
            "tokens_ahead",
            "load_age_ms",
            "rates_age_ms",
            "rejection",
        } <= set(found)


def test_facts_are_told_with_their_age(start, sim_engine):
    mesh = start.up(sim_engine())
    for _ in range(4):
        answer = mesh.chat(model="sim", max_tokens=20, stream=True)
    record = mesh.decision(answer)
    (found,) = record["attempts"][0]["decision"]["candidates"]
    assert 0 <= found["load_age_ms"] < 5000 and 0 <= found["rates_age_ms"] < 60_000
    told = mesh.cli("explain", answer.header("x-request-id")).stdout
    assert re.search(r"facts: engine load [\d.]+ [um]?s old, rates [\d.]+ [um]?s old", told), told


def test_a_rejected_candidate_says_why(routed):
    mesh, (one, two) = routed(2, default_policy="round_robin")
    two.die()
    mesh.wait_state("e2", "down")
    record = mesh.decision(mesh.chat())
    rejected = {
        found["engine"]: found["rejection"]
        for found in record["attempts"][0]["decision"]["candidates"]
    }
    assert rejected == {"e1": None, "e2": "not_ready"}
    out = record["attempts"][0]["decision"]["candidates"][1]
    assert out["state"] == "down" and "refused" in out["out_reason"] and out["out_for_ms"] >= 0
    told = mesh.cli("explain", record["request_id"]).stdout
    assert re.search(r"e2 +out: down for [\d.]+ \w+: .*connection refused", told), told


def test_a_retried_request_shows_every_attempt(routed):
    mesh, (one, two) = routed(2, default_policy="round_robin")
    one.default = fe.reset_at_once()
    records = [mesh.decision(mesh.chat()) for _ in range(2)]
    record = next(found for found in records if found["attempts_total"] == 2)
    first, second = record["attempts"]
    assert (first["engine"], first["outcome"]) == ("e1", "reset") and first["error"]
    assert (second["engine"], second["outcome"]) == ("e2", "ok")
    assert "e1" in [
        found["engine"]
        for found in second["decision"]["candidates"]
        if found["rejection"] == "tried"
    ]


def test_a_refused_request_is_kept_too(routed):
    mesh, one = routed()
    answer = mesh.chat(model="nobody")
    record = mesh.decision(answer)
    assert (
        record["status"] == 404
        and record["error_code"] == "model_not_found"
        and record["attempts"] == []
    )


def test_a_request_that_no_engine_could_take_says_why(routed):
    mesh, (one, two) = routed(2, in_flight_per_engine_max=1, queue_max=0, shards=1)
    two.die()
    mesh.wait_state("e2", "down")
    gate = threading.Event()
    one.default = fe.held(gate, fe.plausible)
    with mesh.wire() as busy:
        busy.request("POST", ROUTES[0], json.dumps(body_of(ROUTES[0])).encode())
        one.wait_whole()
        answer = mesh.chat()
        gate.set()
        assert busy.answer().status == 200
    assert answer.status == 503 and not answer.header("x-infermesh-engine")
    record = mesh.decision(answer)
    assert (record["error_code"], record["attempts_total"]) == ("queue_full", 0)
    (asked,) = record["attempts"]
    rejected = {
        found["engine"]: found["rejection"] for found in asked["decision"]["candidates"]
    }
    assert rejected == {"e1": "full", "e2": "not_ready"}
    assert asked["engine"] is None and asked["decision"]["refusal"] == "queue_full"
    told = mesh.cli("explain", answer.header("x-request-id")).stdout
    assert "no engine can take it: queue_full" in told and "e2" in told, told


def test_usage_as_the_engine_told_it_is_kept(routed):
    mesh, _ = routed()
    attempt = mesh.decision(mesh.chat())["attempts"][0]
    assert (attempt["prompt_tokens"], attempt["cached_tokens"], attempt["output_tokens"]) == (
        7,
        4,
        3,
    )


def test_the_ring_is_bounded(routed):
    mesh, _ = routed(decisions_kept=5, shards=1)
    ids = [
        mesh.chat(headers={"x-request-id": f"request-{i}"}).header("x-request-id")
        for i in range(12)
    ]
    mesh.decision(ids[-1])
    assert mesh.ask(f"/debug/decisions/{ids[0]}").status == 404
    assert len(mesh.ask("/debug/decisions").json()["decisions"]) == 5


def test_decisions_of_every_shard_are_found(routed):
    mesh, _ = routed(shards=4)
    ids = [mesh.chat().header("x-request-id") for _ in range(16)]
    assert all(mesh.decision(found)["status"] == 200 for found in ids)


def test_explain_tells_people_and_programs(routed):
    mesh, (one, two) = routed(2, default_policy="round_robin")
    one.default = fe.reset_at_once()
    answers = [mesh.chat() for _ in range(2)]
    request_id = next(a for a in answers if a.header("x-infermesh-attempts") == "2").header(
        "x-request-id"
    )
    mesh.decision(request_id)
    told = mesh.cli("explain", request_id)
    assert told.returncode == 0, told.stderr
    for word in ("e1", "e2", "attempt 1", "attempt 2", "round_robin"):
        assert word in told.stdout, told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 100
    data = json.loads(mesh.cli("explain", request_id, "-o", "json").stdout)
    assert data["request_id"] == request_id and len(data["attempts"]) == 2


def test_explaining_an_unknown_request_is_not_found(routed):
    mesh, _ = routed()
    told = mesh.cli("explain", "no-such-request")
    assert told.returncode == 3 and "no-such-request" in told.stderr and told.stdout == ""
    assert "next: infermesh explain lists the latest" in told.stderr, told.stderr


# ---- policies
@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_can_be_chosen_for_a_pool(start, fake, name):
    two = [fake(), fake()]
    mesh = start.run(
        [
            engine("e1", two[0].url),
            engine("e2", two[1].url),
            policy("r", name),
            pool("p", ["e1", "e2"], policy="r"),
            model("m", "p"),
        ]
    )
    for _ in range(8):
        answer = mesh.chat(headers={"x-session-id": "s"})
        assert answer.status == 200
    assert mesh.decision(answer)["attempts"][0]["decision"]["policy"] == name


def test_a_model_may_have_a_policy_of_its_own(start, fake):
    one = fake()
    mesh = start.run(
        [
            engine("e1", one.url),
            policy("r", "random"),
            pool("p", ["e1"]),
            model("m", "p", policy="r"),
        ]
    )
    assert mesh.decision(mesh.chat())["attempts"][0]["decision"]["policy"] == "random"


def test_round_robin_takes_turns(routed):
    mesh, _ = routed(3, default_policy="round_robin", shards=1)
    seen = [mesh.chat().header("x-infermesh-engine") for _ in range(6)]
    assert sorted(seen[:3]) == ["e1", "e2", "e3"] and seen[:3] == seen[3:]


def test_least_request_avoids_the_busy(routed):
    mesh, (one, two) = routed(2, default_policy="least_request")
    gate = fe.threading.Event()
    one.default = fe.held(gate, fe.plausible)
    two.default = fe.held(gate, fe.plausible)
    with mesh.wire() as first:
        first.request(
            "POST", "/v1/chat/completions", json.dumps(body_of("/v1/chat/completions")).encode()
        )
        eventually(lambda: one.heard or two.heard, "one engine is busy")
        with mesh.wire() as second:
            second.request(
                "POST", "/v1/chat/completions", json.dumps(body_of("/v1/chat/completions")).encode()
            )
            eventually(lambda: one.heard and two.heard, "the other engine takes the second request")
            gate.set()
            assert first.answer().status == second.answer().status == 200


def test_a_session_stays_where_it_is(routed):
    mesh, _ = routed(4, default_policy="session")
    for session in ("anna", "ben", "carla"):
        engines = {
            mesh.chat(headers={"x-session-id": session}).header("x-infermesh-engine")
            for _ in range(6)
        }
        assert len(engines) == 1
    spread = {
        mesh.chat(headers={"x-session-id": f"s{i}"}).header("x-infermesh-engine") for i in range(40)
    }
    assert len(spread) == 4


def test_a_session_key_may_be_in_the_body(start, fake):
    four = [fake() for _ in range(4)]
    names = [f"e{i + 1}" for i in range(4)]
    mesh = start.run(
        [engine(name, one.url) for name, one in zip(names, four)]
        + [
            policy("r", "session", session_body_key="conversation"),
            pool("p", names, policy="r"),
            model("m", "p"),
        ]
    )
    homes = [
        {mesh.chat(conversation=f"c{i}").header("x-infermesh-engine") for _ in range(3)}
        for i in range(12)
    ]
    assert all(len(home) == 1 for home in homes)
    assert len(set.union(*homes)) > 1, "conversations spread"


def test_models_may_have_session_keys_of_their_own(start, fake):
    four = [fake("m", "n", "plain") for _ in range(4)]
    names = [f"e{i + 1}" for i in range(4)]
    mesh = start.run(
        [engine(name, one.url) for name, one in zip(names, four)]
        + [
            policy("by-thread", "session", session_body_key="thread"),
            policy("by-user", "session", session_body_key="user"),
            pool("p", names, policy="by-thread"),
            model("m", "p"),
            model("n", "p", policy="by-user"),
        ]
    )

    def home(name: str, **fields: str) -> str:
        return mesh.chat(model=name, **fields).header("x-infermesh-engine")

    for name, key, other in (("m", "thread", "user"), ("n", "user", "thread")):
        homes = {i: home(name, **{key: f"k{i}", other: "same"}) for i in range(12)}
        assert len(set(homes.values())) > 1, f"{name} is routed by {key}"
        for i in range(12):
            assert home(name, **{other: f"x{i}", key: f"k{i}"}) == homes[i]


@pytest.mark.parametrize("name", ["prefix_affinity", "expected_latency"])
def test_a_known_prefix_brings_a_request_back(start, sim_engine, name):
    engines = [engine(f"e{i + 1}", sim_engine()) for i in range(3)]
    mesh = start.run(engines, default_policy=name)
    story = "Once there was a router that never lost a request. " * 200
    home = mesh.chat(story, model="sim", max_tokens=4).header("x-infermesh-engine")
    answers = [
        mesh.chat(story + f" Question {i}?", model="sim", max_tokens=4, stream=True)
        for i in range(6)
    ]
    assert {answer.header("x-infermesh-engine") for answer in answers} == {home}
    attempt = mesh.decision(answers[-1])["attempts"][0]
    known = {found["engine"]: found["cached_tokens"] for found in attempt["decision"]["candidates"]}
    assert known[home] > 1000
    assert attempt["cached_tokens"] > 1000, "the engine says so too"


def test_own_requests_count_at_once(routed):
    """Two requests in the same moment do not both go to the engine that looked idle at the last
    poll.
    """
    mesh, (one, two) = routed(2, poll_interval_min="5s", poll_interval_max="5s", shards=1)
    gate = fe.threading.Event()
    for each in (one, two):
        each.default = fe.held(gate, fe.plausible)
    wires = [mesh.wire() for _ in range(8)]
    for i, wire in enumerate(wires):
        wire.request(
            "POST",
            "/v1/chat/completions",
            json.dumps(body_of("/v1/chat/completions", user=str(i))).encode(),
        )
    eventually(lambda: len(one.heard) + len(two.heard) == 8, "all are sent")
    assert abs(len(one.heard) - len(two.heard)) <= 2
    gate.set()
    for wire in wires:
        assert wire.answer().status == 200
        wire.close()


def test_a_route_can_be_tried_without_sending_anything(routed):
    mesh, (one, two) = routed(2)
    told = mesh.cli("route", "test", "m", "--prompt", "hello", "-o", "json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["decision"]["engine"] in ("e1", "e2")
    assert not one.heard and not two.heard
    assert mesh.cli("route", "test", "nobody").returncode == 3
