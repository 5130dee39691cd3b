"""What the process tells of itself: /metrics, /livez, /readyz, the access log."""

import json
import re

from harness import fake_engine as fe
from harness.mesh import engine
from harness.wait import eventually


def test_requests_are_counted_by_what_became_of_them(routed):
    mesh, one = routed()
    for _ in range(3):
        mesh.chat()
    mesh.chat(model="nobody")
    eventually(lambda: mesh.metric("infermesh_requests_total", code="200") == 3, "three successes")
    assert mesh.metric("infermesh_requests_total", code="404") == 1


def test_times_are_histograms(routed):
    mesh, one = routed()
    mesh.chat()
    mesh.chat(stream=True)
    families = families_of(mesh)
    for name in (
        "infermesh_ttft_seconds",
        "infermesh_itl_seconds",
        "infermesh_queue_seconds",
        "infermesh_upstream_seconds",
        "infermesh_added_seconds",
        "infermesh_request_duration_seconds",
    ):
        assert families.get(name) == "histogram", sorted(families)
    eventually(lambda: mesh.metric("infermesh_ttft_seconds_count") >= 1, "a first byte")
    assert mesh.metric("infermesh_itl_seconds_count") >= 1


def families_of(mesh) -> dict[str, str]:
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", mesh.ask("/metrics").body.decode(), re.M))


def test_the_names_of_the_gen_ai_conventions_are_there(routed):
    mesh, one = routed()
    mesh.chat(stream=True)
    names = [name for name in families_of(mesh) if name.startswith("gen_ai_")]
    for part in ("time_to_first_token", "request_duration", "time_per_output_token", "token_usage"):
        assert [name for name in names if part in name], names


def test_tokens_are_counted_as_the_engine_told_them(routed):
    mesh, one = routed()
    mesh.chat()
    mesh.chat(stream=True)
    eventually(
        lambda: mesh.metric("infermesh_tokens_total", kind="prompt") == 14, "prompt tokens of both"
    )
    assert mesh.metric("infermesh_tokens_total", kind="output") == 6
    assert mesh.metric("infermesh_tokens_total", kind="cached") == 8


def test_prefix_hits_are_counted_as_predicted_and_as_served(routed):
    mesh, one = routed()
    story = "Once upon a time there was a router. " * 300
    mesh.chat(story)
    mesh.chat(story)
    eventually(
        lambda: mesh.metric("infermesh_prefix_tokens_total", kind="predicted") > 1000,
        "a predicted hit",
    )
    assert mesh.metric("infermesh_prefix_tokens_total", kind="served") == 8


def test_retries_and_ejections_are_counted(routed):
    mesh, (one, two) = routed(2, default_policy="round_robin")
    one.default = fe.reset_at_once()
    for _ in range(30):
        mesh.chat()
    eventually(lambda: mesh.metric("infermesh_retries_total") >= 1, "a retry")
    eventually(lambda: mesh.metric("infermesh_ejections_total") >= 1, "an ejection")


def test_labels_are_bounded(routed):
    """Names that clients make up do not become series."""
    mesh, one = routed()
    mesh.chat()
    before = len(mesh.metrics())
    for i in range(30):
        mesh.chat(model=f"made-up-{i}", headers={"x-request-id": f"made-up-{i}"})
    text = mesh.ask("/metrics").body.decode()
    assert "made-up" not in text and len(mesh.metrics()) < before + 60


def test_the_page_is_well_formed(routed):
    mesh, one = routed()
    mesh.chat()
    text = mesh.ask("/metrics").body.decode()
    assert text.endswith("\n")
    sample = re.compile(
        r'^[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_]\w*="([^"\\\n]|\\.)*",?)*\})? (\S+)$'
    )
    helped = set(re.findall(r"^# HELP (\S+) \S", text, re.M))
    typed = families_of(mesh)
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        assert sample.match(line), line
        name = re.match(r"[\w:]+", line)[0]
        family = next(
            (
                f
                for f in typed
                if name == f or re.fullmatch(re.escape(f) + "_(bucket|sum|count|total)", name)
            ),
            None,
        )
        assert family and family in helped, line
    assert len(
        set(line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#"))
    ) == len(mesh.metrics())


def test_engines_in_flight_and_state_are_gauges(routed):
    mesh, one = routed()
    one.default = fe.hang()
    with mesh.wire() as wire:
        wire.request("POST", "/v1/chat/completions", b'{"model":"m","messages":[]}')
        one.wait_whole()
        eventually(lambda: mesh.metric("infermesh_in_flight", engine="e1") == 1, "one in flight")
    eventually(lambda: mesh.metric("infermesh_in_flight", engine="e1") == 0, "none in flight")


# ---- health of the process
def test_live_and_ready(routed):
    mesh, one = routed()
    assert mesh.ask("/livez").status == 200
    ready = mesh.ask("/readyz")
    assert ready.status == 200 and ready.json()["ready"] is True
    assert all(check["ok"] and check["detail"] for check in ready.json()["checks"])


def test_not_ready_without_an_engine_and_the_check_says_so(routed):
    mesh, one = routed()
    one.die()
    mesh.wait_state("e1", "down")
    ready = eventually(lambda: (a := mesh.ask("/readyz")).status == 503 and a, "not ready")
    failing = [check for check in ready.json()["checks"] if not check["ok"]]
    assert [check["name"] for check in failing] == ["engines"] and failing[0]["detail"]
    assert mesh.ask("/livez").status == 200


# ---- access log
def test_every_request_is_one_json_line(start, fake, tmp_path):
    one = fake()
    path = tmp_path / "access.log"
    mesh = start.run([engine("e1", one.url)], access_log=path)
    first = mesh.chat(stream=True).header("x-request-id")
    second = mesh.chat(model="nobody").header("x-request-id")
    lines = eventually(
        lambda: (found := path.read_text().splitlines()) and len(found) == 2 and found, "two lines"
    )
    entries = {entry["request_id"]: entry for entry in map(json.loads, lines)}
    assert (
        entries[first]["status"] == 200
        and entries[first]["engine"] == "e1"
        and entries[first]["model"] == "m"
    )
    assert entries[second]["status"] == 404 and entries[second]["error"] == "model_not_found"
    assert {"time", "method", "path", "client", "total_ms", "ttft_ms", "bytes_out"} <= set(
        entries[first]
    )
    assert entries[first]["prompt_tokens"] == 7 and entries[first]["output_tokens"] == 3


def test_answers_of_the_routers_own_are_in_the_access_log(start, fake, tmp_path):
    path = tmp_path / "access.log"
    mesh = start.run([engine("e1", fake().url)], access_log=path)
    mesh.get("/v1/models")
    mesh.get("/v1/nothing")
    with mesh.wire() as wire:
        wire.send(b"GET /v1/models HTTP/1.1\r\n\r\n")
        refused = wire.answer().header("x-request-id")
    lines = eventually(
        lambda: (found := path.read_text().splitlines()) and len(found) == 3 and found,
        "three lines",
    )
    by_status = {entry["status"]: entry for entry in map(json.loads, lines)}  # shards race
    listed, unknown, malformed = by_status[200], by_status[404], by_status[400]
    assert listed["path"] == "/v1/models" and "error" not in listed
    assert unknown["path"] == "/v1/nothing" and unknown["error"] == "unknown_path"
    assert malformed["error"] == "bad_request" and malformed["request_id"] == refused


def test_the_access_log_can_be_off(start, fake):
    one = fake()
    mesh = start.run([engine("e1", one.url)], access_log="off")
    request_id = mesh.chat().header("x-request-id")
    mesh.decision(request_id)
    assert request_id not in mesh.log() + mesh.program.out()


def test_the_log_can_be_json(start, fake):
    one = fake()
    mesh = start.run([engine("e1", one.url)], log_format="json", access_log="off")
    lines = [line for line in mesh.log().splitlines() if line]
    assert lines and all(json.loads(line)["level"] for line in lines)


def test_secrets_are_not_logged(start, fake, tmp_path):
    one = fake()
    mesh = start.run([engine("e1", one.url)], log_level="debug", access_log="stderr")
    mesh.chat(headers={"authorization": "Bearer sk-client-secret", "x-api-key": "sk-client-secret"})
    eventually(
        lambda: "/v1/chat/completions" in mesh.log() + mesh.program.out(), "the request is logged"
    )
    assert "sk-client-secret" not in mesh.log() + mesh.program.out()
