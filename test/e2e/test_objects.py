"""Mesh objects from the watched folder: a change is live within a second and loses nothing; a bad
one changes nothing.
"""

import time

import pytest
from harness import fake_engine as fe
from harness.load import Load
from harness.mesh import engine, model, policy, pool, write_objects
from harness.wait import SLOW, eventually, stays

WITHIN = 1.0 * SLOW


@pytest.fixture
def two(fake):
    return fake(), fake()


def test_a_new_engine_takes_requests_within_a_second(start, two):
    mesh = start.run(
        [engine("e1", two[0].url)], objects_interval="250ms", default_policy="round_robin"
    )
    changed = time.monotonic()
    mesh.write([engine("e1", two[0].url), engine("e2", two[1].url)])
    mesh.wait_state("e2", "ready", within=WITHIN)
    assert time.monotonic() - changed <= WITHIN
    assert {mesh.chat().header("x-infermesh-engine") for _ in range(12)} == {"e1", "e2"}


def test_an_engine_is_removed_under_load_without_a_loss(start, two):
    mesh = start.run([engine("e1", two[0].url), engine("e2", two[1].url)])
    load = Load(mesh, "m", clients=6)
    load.wait_answered(30)
    mesh.write([engine("e2", two[1].url)])
    eventually(
        lambda: mesh.engine_state("e1") in ("absent", "draining"), "e1 leaves", within=WITHIN
    )
    load.wait_more(30)
    fates = load.stop()
    assert all(fate.ok for fate in fates), next(str(fate) for fate in fates if not fate.ok)
    heard = len(two[0].heard)
    mesh.chat()
    assert len(two[0].heard) == heard


def test_a_stream_on_an_engine_that_is_removed_goes_on(start, two):
    mesh = start.run([engine("e1", two[0].url)])
    gate = fe.threading.Event()
    two[0].then(fe.held(gate, fe.stream(*fe.chat_pieces())))
    with mesh.wire() as wire:
        wire.request("POST", "/v1/chat/completions", b'{"model":"m","stream":true,"messages":[]}')
        two[0].wait_whole()
        mesh.write([engine("e2", two[1].url)])
        mesh.wait_state("e2", "ready")
        gate.set()
        answer = wire.answer()
    assert answer.whole and answer.events()[-1].data == "[DONE]"


def test_every_kind_of_object_may_change_while_running(start, two):
    objects = [
        engine("e1", two[0].url),
        engine("e2", two[1].url),
        pool("p", ["e1"]),
        model("name", "p", served_name="m"),
    ]
    mesh = start.run(objects)
    assert mesh.chat(model="name").header("x-infermesh-engine") == "e1"
    mesh.write(
        [
            engine("e1", two[0].url),
            engine("e2", two[1].url),
            policy("r", "round_robin"),
            pool("p", ["e2"], policy="r"),
            model("new-name", "p", served_name="m"),
        ]
    )
    eventually(
        lambda: mesh.chat(model="new-name").status == 200, "the new name is served", within=WITHIN
    )
    assert mesh.chat(model="new-name").header("x-infermesh-engine") == "e2"
    answer = mesh.chat(model="name")
    assert answer.status == 404 and "new-name" in answer.json()["error"]["message"]
    pools = {found["name"]: found for found in mesh.ask("/api/pools").json()["pools"]}
    assert pools["p"]["policy"] == "round_robin"


def test_drain_in_the_object_takes_an_engine_out(start, two):
    mesh = start.run([engine("e1", two[0].url), engine("e2", two[1].url)])
    mesh.write([engine("e1", two[0].url, drain=True), engine("e2", two[1].url)])
    mesh.wait_state("e1", "draining", within=WITHIN)
    assert {mesh.chat().header("x-infermesh-engine") for _ in range(8)} == {"e2"}


def test_objects_may_be_spread_over_files(start, two):
    mesh = start.run([engine("e1", two[0].url)])
    write_objects(mesh.objects_path.with_name("more.yml"), [engine("e2", two[1].url)])
    mesh.wait_state("e2", "ready", within=WITHIN)


BAD = {
    "unknown key": (
        "kind: Engine\nname: e2\nspec:\n  url: http://127.0.0.1:9\n  wieght: 3\n",
        ["5:3", "wieght", "weight"],
    ),
    "unknown kind": ("kind: Enigne\nname: e2\nspec: {}\n", ["1:7", "Enigne", "Engine"]),
    "bad value": (
        "kind: Engine\nname: e2\nspec:\n  url: http://127.0.0.1:9\n  weight: heavy\n",
        ["5:11", "heavy"],
    ),
    "not a URL": ("kind: Engine\nname: e2\nspec:\n  url: ftp://localhost\n", ["4:8", "ftp"]),
    "broken YAML": ("kind: Engine\nname: [e2\n", ["bad.yaml:"]),
    "a pool of strangers": ("kind: Pool\nname: p\nspec:\n  engines: [e9]\n", ["e9"]),
    "a name taken twice": ("kind: Engine\nname: e1\nspec:\n  url: http://127.0.0.1:9\n", ["e1"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_object_is_refused_whole_and_the_reason_is_shown(start, two, case):
    text, told = BAD[case]
    mesh = start.run([engine("e1", two[0].url)])
    before = mesh.generation()
    bad = mesh.objects_path.with_name("bad.yaml")
    bad.write_text(text)
    write_objects(mesh.objects_path, [engine("e1", two[0].url), engine("e3", two[1].url)])
    eventually(
        lambda: "bad.yaml" in mesh.log() or case == "a name taken twice" and "e1" in mesh.log(),
        "the log names the file",
        within=WITHIN,
    )
    problems = eventually(
        lambda: [p for p in mesh.status()["problems"] if p["kind"] == "objects"], "status shows it"
    )
    shown = mesh.cli("status").stdout
    for word in told:
        assert word in mesh.log(), word
        assert word in problems[0]["what"] + str(problems) + shown, word
    assert mesh.metric("infermesh_objects_refused_total") >= 1
    stays(lambda: "e3" not in mesh.engines(), "nothing of a refused set takes effect", 0.2)
    assert mesh.generation() == before and mesh.chat().status == 200
    bad.unlink()
    mesh.wait_state("e3", "ready", within=WITHIN)
    eventually(
        lambda: not [p for p in mesh.status()["problems"] if p["kind"] == "objects"],
        "the problem is gone",
    )


def test_an_empty_folder_serves_nothing_and_says_so(start):
    mesh = start.run([], ready=0)
    assert mesh.chat().status == 404
    ready = mesh.ask("/readyz")
    assert ready.status == 503
    assert [check["name"] for check in ready.json()["checks"] if not check["ok"]] == [
        "engines",
        "models",
    ]
