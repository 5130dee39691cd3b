"""Failures before the first byte are somebody else's turn, within a budget; failures after it are
told.
"""

import itertools
import signal
import time

import pytest
from harness import fake_engine as fe
from harness.load import Load
from harness.mesh import dumps, engine, pool
from harness.routes import ROUTES, body_of
from harness.wait import SLOW, eventually


def engines_of(record) -> list[str]:
    return [attempt["engine"] for attempt in record["attempts"]]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("failure", [fe.reset_at_once, fe.close_at_once])
def test_a_connection_lost_before_the_answer_is_retried_elsewhere(routed, route, failure):
    mesh, (one, two) = routed(2, default_policy="round_robin")
    one.default = failure()
    for _ in range(2):
        answer = mesh.post(route, body_of(route))
        assert answer.status == 200, answer.body
        assert answer.header("x-infermesh-engine") == "e2"
    retried = [heard for heard in one.heard]
    assert retried, "the first engine had its turn"


def test_a_dead_engine_is_not_noticed_by_clients(routed):
    mesh, (one, two) = routed(
        2, default_policy="round_robin", poll_interval_min="1s", poll_interval_max="2s"
    )
    one.die()
    answers = [mesh.chat() for _ in range(4)]
    assert [answer.status for answer in answers] == [200] * 4
    retried = [answer for answer in answers if answer.header("x-infermesh-attempts") == "2"]
    assert retried
    record = mesh.decision(retried[0])
    assert (
        engines_of(record) == ["e1", "e2"] and record["attempts"][0]["outcome"] == "connect_failed"
    )
    assert record["attempts"][0]["error"]


@pytest.mark.parametrize("status", [429, 502, 503])
def test_an_engine_that_has_no_room_is_passed_over(routed, status):
    mesh, (one, two) = routed(2, default_policy="round_robin")
    one.default = fe.error_reply(status)
    assert [mesh.chat().status for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("header, value", [("retry-after", "1"), ("retry-after-ms", "700")])
def test_retry_after_of_the_only_engine_is_honoured(routed, header, value):
    mesh, one = routed()
    one.then(fe.error_reply(503, headers={header: value}))
    assert mesh.chat().status == 200
    first, second = one.heard
    assert second.head_at - first.head_at >= (1.0 if header == "retry-after" else 0.7)


def test_retry_after_of_one_engine_does_not_hold_up_the_others(routed):
    mesh, (one, two) = routed(2, default_policy="round_robin")
    for each in (one, two):
        each.then(fe.error_reply(503, headers={"retry-after": "30"}))
        started = time.monotonic()
        assert mesh.chat().status == 200
        assert time.monotonic() - started < 5
        each.script.clear()


def test_the_same_engine_is_never_tried_first_again(routed):
    mesh, three = routed(3, attempts_max=3, retry_budget=1)
    for one in three:
        one.default = fe.reset_at_once()
    answer = mesh.chat()
    record = mesh.decision(answer)
    assert answer.status == 502 and sorted(engines_of(record)) == ["e1", "e2", "e3"]
    assert (
        answer.header("x-infermesh-attempts") == "3" and answer.header("x-should-retry") == "false"
    )


def test_nothing_is_retried_after_the_first_byte(routed):
    mesh, (one, two) = routed(2, default_policy="round_robin")
    for each in (one, two):
        each.default = fe.stream(fe.chat_chunk({"content": "x"}), end="reset")
    mesh.chat(stream=True)
    assert len(one.heard) + len(two.heard) == 1


def test_a_refusal_is_not_retried(routed):
    mesh, (one, two) = routed(2)
    for each in (one, two):
        each.default = fe.error_reply(422, "cannot do that")
    answer = mesh.chat()
    assert answer.status == 422 and len(one.heard) + len(two.heard) == 1


def test_attempts_have_a_limit(routed):
    mesh, four = routed(4, attempts_max=2, retry_budget=1)
    for one in four:
        one.default = fe.reset_at_once()
    assert mesh.chat().header("x-infermesh-attempts") == "2"


def test_retries_have_a_budget(routed):
    """Under a lasting failure retries stay a fifth of the traffic, give or take what a quiet pool
    has saved up.
    """
    mesh, two = routed(2, default_policy="round_robin", ejected_share_max=0, shards=1)
    for one in two:
        one.default = fe.error_reply(503)
    requests = 200
    for _ in range(requests):
        mesh.chat()
    attempts = sum(len(one.heard) for one in two)
    assert attempts <= requests * 1.2 + 25, f"{attempts} attempts for {requests} requests"


def test_a_kept_connection_that_the_engine_has_closed_costs_nothing(routed):
    mesh, one = routed()
    for _ in range(5):
        assert mesh.chat().status == 200
        one.drop_connections()
    assert mesh.chat().status == 200
    assert mesh.engine_state("e1") in ("ready", "suspect")


def test_all_engines_full_passes_their_advice_on(routed):
    mesh, one = routed()
    one.default = fe.error_reply(429, "slow down", {"retry-after": "3"})
    answer = mesh.chat()
    assert answer.status in (429, 503)
    assert answer.header("retry-after") == "3" or int(answer.header("retry-after-ms")) <= 8000


def test_a_body_over_the_replay_limit_is_still_answered(routed):
    mesh, (one, two) = routed(2, default_policy="round_robin")
    one.default = fe.reset_at_once()
    for _ in range(2):
        answer = mesh.chat("x" * 3_000_000, within=30)
        assert answer.status in (200, 502)


# ---- health
def test_a_dead_engine_is_down_and_comes_back(routed):
    mesh, (one, two) = routed(2)
    one.die()
    mesh.wait_state("e1", "down")
    assert "refused" in mesh.engines()["e1"]["reason"].lower()
    heard = len(two.heard)
    assert [mesh.chat().header("x-infermesh-attempts") for _ in range(3)] == ["1"] * 3
    assert len(two.heard) == heard + 3
    one.listen_again()
    mesh.wait_state("e1", "ready")


def test_an_engine_that_keeps_failing_is_ejected(routed):
    mesh, (one, two) = routed(2, default_policy="round_robin")
    one.default = fe.error_reply(500)

    def is_out() -> bool:
        mesh.chat()
        return bool(mesh.engines()["e1"]["ejections"]) or mesh.engine_state("e1") != "ready"

    eventually(is_out, "an engine that fails is taken out")
    assert len(one.heard) <= 40, "and soon"
    asked = len(one.heard)
    for _ in range(20):
        mesh.chat()
    assert len(one.heard) - asked <= 3


def test_an_ejected_engine_proves_itself_and_returns(routed):
    mesh, (one, two) = routed(2, default_policy="round_robin")
    one.default = fe.error_reply(500)
    for _ in range(40):
        mesh.chat()
    one.default = fe.plausible

    def back() -> bool:
        mesh.chat()
        return not mesh.engines()["e1"]["ejections"] and mesh.engine_state("e1") == "ready"

    eventually(back, "e1 is taken back", within=60)


def test_an_engine_that_fails_far_more_than_the_others_is_ejected(routed):
    """Never five times in a row, never half of its requests: only beside the others it is bad."""
    mesh, engines = routed(4, default_policy="round_robin", shards=1, attempts_max=1)
    asked = itertools.count()

    async def every_third_fails(exchange) -> None:
        reply = fe.error_reply(500) if next(asked) % 3 == 0 else fe.plausible
        await reply(exchange)

    engines[3].default = every_third_fails

    def out() -> list:
        for _ in range(8):
            mesh.chat()
        return mesh.engines()["e4"]["ejections"]

    (ejection,) = eventually(out, "the odd one is taken out", within=20)
    assert "far more often" in ejection["reason"] and ejection["model"] == "m"
    assert all(not mesh.engines()[f"e{i}"]["ejections"] for i in (1, 2, 3))
    heard = len(engines[3].heard)
    for _ in range(12):
        mesh.chat()
    assert len(engines[3].heard) == heard


def test_not_all_engines_of_a_pool_are_ejected(routed):
    mesh, engines = routed(4, default_policy="round_robin", ejected_share_max=0.5)
    for one in engines:
        one.default = fe.error_reply(500)
    for _ in range(80):
        mesh.chat()
    ejected = [name for name, found in mesh.engines().items() if found["ejections"]]
    assert len(ejected) <= 2


# ---- under load
def check_nothing_lost(fates) -> None:
    lost = [fate for fate in fates if not fate.ok and not fate.told]
    assert not lost, f"{len(lost)} of {len(fates)} lost, the first: {lost[0]}"


def test_killing_an_engine_under_load_loses_nothing_unanswered(start, sim_engine):
    urls = [sim_engine() for _ in range(3)]
    mesh = start.run([engine(f"e{i + 1}", url) for i, url in enumerate(urls)])
    load = Load(mesh, "sim", clients=12, tokens=40)
    load.wait_answered(40)
    sim_engine.programs[1].kill()
    load.wait_more(60)
    fates = load.stop()
    check_nothing_lost(fates)
    assert sum(fate.ok for fate in fates) > len(fates) * 0.8
    eventually(lambda: mesh.engine_state("e2") == "down", "the dead engine is down")


def test_killing_a_real_engine_under_load_loses_nothing_unanswered(start, own_llama):
    servers = own_llama(2)
    mesh = start.run([engine(f"e{i + 1}", server.url) for i, server in enumerate(servers)])
    load = Load(mesh, "tiny-llama", clients=6, tokens=48)
    load.wait_answered(12)
    servers[0].program.signal(signal.SIGKILL)
    load.wait_more(24)
    check_nothing_lost(load.stop())


def test_requests_that_do_not_stream_survive_the_kill_whole(start, sim_engine):
    urls = [sim_engine() for _ in range(2)]
    mesh = start.run([engine(f"e{i + 1}", url) for i, url in enumerate(urls)])
    load = Load(mesh, "sim", clients=8, stream_share=0, tokens=40)
    load.wait_answered(16)
    sim_engine.programs[0].kill()
    load.wait_more(32)
    fates = load.stop()
    assert all(fate.ok for fate in fates), next(str(fate) for fate in fates if not fate.ok)


# ---- timeouts
def test_an_engine_that_does_not_begin_is_given_up(routed):
    mesh, one = routed(first_byte_timeout="200ms", attempts_max=1)
    one.default = fe.hang()
    started = time.monotonic()
    answer = mesh.chat()
    assert answer.status == 504 and answer.json()["error"]["code"] == "first_byte_timeout"
    assert time.monotonic() - started < 2 * SLOW
    assert answer.header("x-should-retry") == "false"


def test_a_request_has_a_total_limit(routed):
    mesh, one = routed(total_timeout="300ms")
    one.default = fe.endless(fe.chat_chunk({"content": "x"}), gap=0.02)
    with mesh.wire() as wire:
        wire.request(
            "POST", "/v1/chat/completions", dumps(body_of("/v1/chat/completions", stream=True))
        )
        answer = wire.answer()
    assert not answer.whole and answer.events()[-1].json()["error"]["code"] == "deadline_exceeded"


def test_connecting_has_its_own_limit(start, fake):
    """192.0.2.0/24 is for documentation: nothing answers there."""
    one = fake()
    mesh = start.run(
        [
            engine("e1", one.url),
            engine("e2", "http://192.0.2.1:9", models=["m"]),
            pool("p", ["e1", "e2"]),
        ],
        ready=1,
        connect_timeout="200ms",
    )
    assert mesh.chat().status == 200
