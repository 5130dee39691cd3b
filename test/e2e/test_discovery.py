"""`infermesh up` with nothing configured finds what runs on this machine, and goes on looking."""

import json
import time

import pytest
from harness import fake_engine as fe
from harness.wait import eventually
from harness.wire import address_of


def up(start, ports, **settings):
    return start.make("up", [], {"discover_ports": ",".join(map(str, ports)), **settings})


def runtimes(mesh) -> list[str]:
    return sorted(found["runtime"] for found in mesh.engines().values())


def test_a_real_llama_server_is_found_and_named(start, llama):
    mesh = up(start, [address_of(llama[0])[1]])
    mesh.wait_ready(1)
    assert runtimes(mesh) == ["llamacpp"]
    assert mesh.chat(model="tiny-llama", max_tokens=2).status == 200
    found = next(iter(mesh.engines().values()))
    assert found["models"] == ["tiny-llama"] and found["concurrency_max"] == 4


def test_a_simulated_vllm_is_found_and_named(start, sim_engine):
    mesh = up(start, [address_of(sim_engine())[1]])
    mesh.wait_ready(1)
    assert runtimes(mesh) == ["vllm"] and next(iter(mesh.engines().values()))["version"]


def test_several_runtimes_are_found_together(start, fake, llama, sim_engine):
    one = fake()
    mesh = up(start, [address_of(llama[0])[1], one.port, address_of(sim_engine())[1]])
    mesh.wait_ready(3)
    assert runtimes(mesh) == ["llamacpp", "openai", "vllm"]
    told = mesh.program.out() + mesh.log()
    for word in ("llama", "vllm", "tiny-llama", "sim"):
        assert word in told, told


@pytest.mark.parametrize("owner", ["vllm", "sglang", "llamacpp"])
def test_a_runtime_is_known_by_what_its_models_say(start, fake, owner):
    one = fake()
    one.owned_by = owner
    mesh = up(start, [one.port])
    mesh.wait_ready(1)
    assert runtimes(mesh) == [owner]


def test_an_engine_that_comes_later_is_found(start, fake):
    one = fake()
    one.stop_listening()
    mesh = up(start, [one.port])
    assert mesh.chat().status == 404
    one.listen_again()
    mesh.wait_ready(1)
    assert mesh.chat().status == 200


def test_what_was_found_and_dies_is_down_and_comes_back(start, fake):
    one = fake()
    mesh = up(start, [one.port])
    mesh.wait_ready(1)
    name = next(iter(mesh.engines()))
    one.die()
    eventually(lambda: mesh.engine_state(name) in ("down", "absent"), "it is gone")
    one.listen_again()
    mesh.wait_ready(1)


def test_what_was_found_and_is_gone_for_a_while_is_forgotten(start, fake):
    one, stays = fake("one"), fake("stays")
    mesh = up(start, [one.port, stays.port], discover_forget_after="1s")
    mesh.wait_ready(2)
    one.die()
    eventually(lambda: len(mesh.engines()) == 1, "it is forgotten")
    assert "one" not in [model["name"] for model in mesh.status()["models"]]
    one.listen_again()
    mesh.wait_ready(2)


def test_a_mesh_takes_neither_itself_nor_another_mesh(start, fake):
    one = fake()
    other = up(start, [one.port])
    mesh = up(start, [other.address[1], one.port], listen="0.0.0.0:0")
    mesh.wait_ready(1)
    assert [found["url"] for found in mesh.engines().values()] == [one.url]


def test_something_else_on_the_port_is_not_taken(start, fake):
    one = fake()
    one.poll_reply = fe.body_reply(b"<html>a web page</html>", "text/html")
    mesh = up(start, [one.port])
    eventually(lambda: one.polls, "the port is looked at")
    assert mesh.status()["engines"]["ready"] == 0


def test_nothing_found_is_said_with_the_next_step(start, fake):
    one = fake()
    one.stop_listening()
    mesh = up(start, [one.port])
    told = eventually(
        lambda: (text := mesh.program.out() + mesh.log()) and "--engine" in text and text,
        "it says how to name an engine",
    )
    assert str(one.port) in told


def test_up_prints_a_base_url_and_a_curl_line(start, fake):
    one = fake()
    mesh = start.up(one.url)
    told = eventually(
        lambda: (text := mesh.program.out() + mesh.log()) and "curl" in text and text, "the banner"
    )
    assert mesh.url + "/v1" in told and mesh.admin_url in told


def test_ready_in_a_moment(start, fake):
    one = fake()
    started = time.monotonic()
    start.up(one.url)
    assert time.monotonic() - started < 3


def test_a_named_engine_is_not_looked_for(start, fake):
    named, other = fake("named"), fake("other")
    mesh = start.up(named.url, discover_ports=str(other.port))
    assert not other.polls and [found["id"] for found in mesh.get("/v1/models").json()["data"]] == [
        "named"
    ]


def test_a_loading_llama_is_joining_not_down(start, fake):
    one = fake()
    loading = {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}
    ready_reply = one.poll_reply
    one.poll_reply = fe.json_reply(loading, 503)
    mesh = start.make("up", ["--engine", one.url], {})
    eventually(lambda: len(one.polls) >= 3, "it is asked")
    assert mesh.status()["engines"]["ready"] == 0
    one.poll_reply = ready_reply
    mesh.wait_ready(1)


def test_polling_slows_down_when_idle_and_uses_one_connection(start, fake):
    one = fake()
    start.up(one.url, poll_interval_min="20ms", poll_interval_max="100ms")
    eventually(lambda: len(one.polls) >= 12, "it is polled")
    assert len({heard.connection for heard in one.polls[-8:]}) == 1


def test_looks_at_engines_are_counted(start, sim_engine):
    mesh = start.up(sim_engine())
    name = next(iter(mesh.engines()))
    looks = "infermesh_polls_total"
    eventually(lambda: mesh.metric(looks, engine=name, result="ok") > 0, "looks are counted")
    assert mesh.metric(looks, engine=name, result="failed") == 0


def test_the_ready_file_tells_the_bound_addresses(start, fake):
    mesh = start.up(fake().url)
    assert json.dumps(mesh.ready) and mesh.address[1] > 0 and mesh.admin[1] > 0
    assert mesh.ready["pid"] == mesh.program.pid
