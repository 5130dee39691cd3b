"""Engines of other makes: a server that only a Runtime object knows is taken in, read and routed
to; an engine is asked only what it serves.
"""

import subprocess

import pytest
from harness import fake_engine as fe
from harness.mesh import engine, write_objects
from harness.process import find_binary
from harness.wait import eventually

OWN_SERVER = {
    "kind": "Runtime",
    "name": "own-server",
    "spec": {
        "apis": ["chat", "completions"],
        "openai_prefix": "/openai/v1",
        "health_path": "/healthz",
        "health_value": "/state",
        "ready_values": ["up"],
        "loading_values": ["warming"],
        "models_path": "/catalog",
        "models_name": "/entries/*/title",
        "models_context": "/entries/*/window",
        "identity_path": "/about",
        "version": "/build",
        "load_path": "/stats",
        "running": 'work{state="now"}',
        "waiting": 'work{state="later"}',
        "kv_used": "blocks_used / blocks",
    },
}
STATS = b'work{state="now"} 2\nwork{state="later"} 3\nblocks_used 1\nblocks 4\n'


class OwnServer:
    """Pages that no built-in runtime has; a test changes them."""

    def __init__(self, fake: fe.FakeEngine):
        self.engine = fake
        self.url = fake.url
        self.pages = {
            "/healthz": fe.json_reply({"state": "up"}),
            "/catalog": fe.json_reply({"entries": [{"title": "own-model", "window": 4096}]}),
            "/about": fe.json_reply({"build": "0.9"}),
            "/stats": fe.body_reply(STATS, "text/plain"),
        }
        fake.poll_reply = self.answer

    async def answer(self, exchange: fe.Exchange) -> None:
        missing = fe.json_reply({"error": "no such page"}, 404)
        await self.pages.get(exchange.heard.target, missing)(exchange)


@pytest.fixture
def own_server(fake):
    return OwnServer(fake())


def test_a_server_that_only_a_description_knows_is_served(start, own_server):
    mesh = start.run([OWN_SERVER, engine("own", own_server.url, runtime="own-server")])
    mesh.wait_state("own", "ready")
    answer = mesh.chat(model="own-model")
    assert answer.status == 200
    assert answer.header("x-infermesh-engine") == "own"
    assert own_server.engine.heard[0].target == "/openai/v1/chat/completions"
    assert [model["id"] for model in mesh.get("/v1/models").json()["data"]] == ["own-model"]
    eventually(lambda: mesh.engines()["own"]["version"] == "0.9", "its version is read")
    found = mesh.engines()["own"]
    assert found["runtime"] == "own-server"
    assert found["apis"] == ["chat", "completions"]
    eventually(lambda: mesh.engines()["own"]["reported"], "its load is read")
    reported = mesh.engines()["own"]["reported"]
    assert (reported["running"], reported["waiting"], reported["kv_used"]) == (2, 3, 0.25)
    assert {poll.target for poll in own_server.engine.polls} == set(own_server.pages)


def test_its_state_is_told_in_its_own_words(start, own_server):
    own_server.pages["/healthz"] = fe.json_reply({"state": "warming"})
    mesh = start.run([OWN_SERVER, engine("own", own_server.url, runtime="own-server")], ready=0)
    mesh.wait_state("own", "joining")
    eventually(lambda: mesh.engines()["own"]["reason"] == "/healthz says warming", "it is loading")
    assert mesh.engine_state("own") == "joining"
    own_server.pages["/healthz"] = fe.json_reply({"state": "up"})
    mesh.wait_state("own", "ready")
    own_server.pages["/healthz"] = fe.json_reply({"state": "broken"})
    mesh.wait_state("own", "down")
    assert mesh.engines()["own"]["reason"].startswith("/healthz says broken")


def test_an_engine_is_asked_only_what_it_serves(start, own_server, fake):
    other = fake("own-model")
    objects = [OWN_SERVER, engine("own", own_server.url, runtime="own-server")]
    mesh = start.run([*objects, engine("any", other.url)], default_policy="round_robin")
    mesh.wait_ready(2)
    embed = {"model": "own-model", "input": "x"}
    for _ in range(4):
        assert mesh.post("/v1/embeddings", embed).header("x-infermesh-engine") == "any"
    assert {mesh.chat(model="own-model").header("x-infermesh-engine") for _ in range(6)} == {
        "own",
        "any",
    }
    mesh.write(objects)
    eventually(lambda: mesh.engine_state("any") == "absent", "the other one has left")
    refused = mesh.post("/v1/embeddings", embed)
    assert refused.status == 400
    assert refused.json()["error"]["code"] == "api_not_served"
    assert "own (own-server) serves chat, completions" in refused.json()["error"]["message"]


def test_a_description_is_checked_before_it_is_used(tmp_path):
    wrong = {**OWN_SERVER, "spec": {**OWN_SERVER["spec"], "running": "work{state=now}"}}
    (tmp_path / "objects").mkdir()
    write_objects(tmp_path / "objects" / "mesh.yaml", [wrong])
    done = subprocess.run(
        [str(find_binary()), "check", "--objects", str(tmp_path / "objects")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert 'running in Runtime "own-server"' in done.stdout
    assert "must stand in quotes" in done.stdout
