"""Leaving in good order: what has begun is finished, nothing new is begun, and then the process
ends with 0.
"""

import json
import signal
import socket
import threading

import pytest
from harness import fake_engine as fe
from harness.load import Load
from harness.mesh import engine
from harness.routes import body_of
from harness.wait import SLOW, eventually
from harness.wire import Closed

CHAT = json.dumps(body_of("/v1/chat/completions", stream=True)).encode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stream_in_flight_is_finished(routed, number):
    mesh, one = routed(drain_timeout="20s")
    gate = threading.Event()
    one.default = fe.held(gate, fe.stream(*fe.chat_pieces()))
    with mesh.wire() as wire:
        wire.request("POST", "/v1/chat/completions", CHAT)
        one.wait_whole()
        mesh.program.signal(number)
        eventually(lambda: draining(mesh), "the process drains")
        gate.set()
        answer = wire.answer()
        assert answer.whole and answer.events()[-1].data == "[DONE]"
    assert mesh.program.wait() == 0


def draining(mesh) -> bool:
    try:
        return mesh.ask("/readyz").status == 503
    except (ConnectionError, Closed):
        return True


def refuses(mesh) -> bool:
    """A shard that drains has closed its listener; connections are refused when all have."""
    try:
        socket.create_connection(mesh.address, 1).close()
    except (ConnectionRefusedError, ConnectionResetError):  # reset: closed amid the handshake
        return True
    except TimeoutError:  # the first packet met a socket that was just closing: asked again
        return False
    return False


def test_a_kept_connection_is_told_to_come_back_elsewhere(routed):
    mesh, one = routed(drain_timeout="20s")
    gate = threading.Event()
    with mesh.wire() as busy, mesh.wire() as kept:
        kept.request("GET", "/v1/models")
        kept.answer()
        one.default = fe.held(gate, fe.plausible)
        busy.request("POST", "/v1/chat/completions", CHAT)
        one.wait_whole()
        mesh.program.signal(signal.SIGTERM)
        eventually(lambda: refuses(mesh), "every shard drains")
        try:
            kept.request("POST", "/v1/chat/completions", CHAT)
            answer = kept.answer()
            assert answer.status == 503 and answer.json()["error"]["code"] == "draining"
            assert (
                answer.header("connection") == "close" and int(answer.header("retry-after-ms")) > 0
            )
        except (Closed, BrokenPipeError, ConnectionResetError):
            pass  # an idle connection may be closed instead
        assert len(one.heard) == 1
        gate.set()
        busy.answer()
    assert mesh.program.wait() == 0


def test_new_connections_are_not_taken(routed):
    mesh, one = routed(drain_timeout="20s")
    gate = threading.Event()
    one.default = fe.held(gate, fe.plausible)
    with mesh.wire() as busy:
        busy.request("POST", "/v1/chat/completions", CHAT)
        one.wait_whole()
        mesh.program.signal(signal.SIGTERM)
        eventually(lambda: draining(mesh), "the process drains")

        def refused() -> bool:
            try:
                answer = mesh.chat()
            except (ConnectionError, Closed):
                return True
            return answer.status == 503

        eventually(refused, "nothing new is taken")
        gate.set()
        busy.answer()
    assert mesh.program.wait() == 0


def test_what_does_not_finish_in_time_is_cut_and_told(routed):
    mesh, one = routed(drain_timeout="200ms")
    one.default = fe.stream(fe.chat_chunk({"content": "x"}), end="hang")
    with mesh.wire() as wire:
        wire.request("POST", "/v1/chat/completions", CHAT)
        head = wire.head()
        mesh.program.signal(signal.SIGTERM)
        answer = wire.body(head)
    assert not answer.whole
    assert mesh.program.wait(within=5 * SLOW) == 0


def test_a_second_signal_ends_at_once(routed):
    mesh, one = routed(drain_timeout="60s")
    one.default = fe.hang()
    with mesh.wire() as wire:
        wire.request("POST", "/v1/chat/completions", CHAT)
        one.wait_whole()
        mesh.program.signal(signal.SIGTERM)
        eventually(lambda: draining(mesh), "the process drains")
        mesh.program.signal(signal.SIGTERM)
        assert mesh.program.wait(within=3 * SLOW) == 130
    mesh.program.codes = (130,)


def test_stopping_under_load_loses_nothing_that_was_taken(start, sim_engine):
    mesh = start.run([engine("e1", sim_engine())], drain_timeout="20s")
    load = Load(mesh, "sim", clients=8, tokens=30)
    load.wait_answered(16)
    mesh.program.signal(signal.SIGTERM)
    assert mesh.program.wait(within=20 * SLOW) == 0
    fates = load.stop()
    cut = [
        fate
        for fate in fates
        if fate.answer is not None and fate.answer.status == 200 and not fate.ok
    ]
    assert not cut, str(cut[0])
    others = [
        fate for fate in fates if not fate.ok and not (fate.answer and fate.answer.status == 503)
    ]
    assert all(not fate.answer for fate in others), next(
        str(fate) for fate in others if fate.answer
    )


# ---- one engine
def test_an_engine_is_drained_and_undrained_by_command(routed):
    mesh, (one, two) = routed(2, default_policy="round_robin")
    done = mesh.cli("drain", "e1")
    assert done.returncode == 0, done.stderr
    mesh.wait_state("e1", "draining")
    assert {mesh.chat().header("x-infermesh-engine") for _ in range(6)} == {"e2"}
    assert mesh.cli("undrain", "e1").returncode == 0
    mesh.wait_state("e1", "ready")
    assert {mesh.chat().header("x-infermesh-engine") for _ in range(6)} == {"e1", "e2"}


def test_drain_waits_for_what_is_in_flight(routed):
    mesh, (one, two) = routed(2, default_policy="round_robin")
    gate = threading.Event()
    for each in (one, two):
        each.default = fe.held(gate, fe.plausible)
    with mesh.wire() as wire:
        wire.request("POST", "/v1/chat/completions", CHAT)
        name = eventually(
            lambda: "e1" if one.heard else "e2" if two.heard else None, "an engine has it"
        )
        result = []
        waiter = threading.Thread(
            target=lambda: result.append(
                mesh.cli("drain", name, "--wait", "--timeout", "20s", within=30)
            )
        )
        waiter.start()
        mesh.wait_state(name, "draining")
        assert waiter.is_alive()
        gate.set()
        assert wire.answer().status == 200
        waiter.join(20)
    assert result[0].returncode == 0


def test_a_dry_run_changes_nothing(routed):
    mesh, _ = routed()
    assert mesh.cli("drain", "e1", "--dry-run").returncode == 0
    assert mesh.engine_state("e1") == "ready"


def test_draining_a_stranger_is_not_found_and_the_nearest_is_named(start, fake):
    mesh = start.run([engine("engine-one", fake().url)])
    done = mesh.cli("drain", "engine-on")
    assert done.returncode == 3 and "engine-one" in done.stderr
