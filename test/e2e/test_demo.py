"""`make demo` with less traffic: it tells its story, loses nothing, leaves nothing running, exits 0."""

import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shown(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("demo")
    environment = {**os.environ, "DEMO_FOLDER": str(folder), "DEMO_CONVERSATIONS": "2", "NO_COLOR": "1"}
    environment.setdefault("INFERMESH_BIN", str(ROOT / "build" / "dev" / "infermesh"))
    environment.pop("KEEP", None)
    done = subprocess.run(
        [ROOT / ".venv" / "bin" / "python", ROOT / "tools" / "demo"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, folder


def test_three_real_servers_and_a_mesh_are_shown(shown):
    text, _ = shown
    assert re.search(r"^1/5 +engines +3 llama.cpp servers up in ", text, re.M), text
    assert re.search(r"^2/5 +mesh +ready in \d+ ms: 3 engines, 1 model", text, re.M), text


def test_each_request_is_shown_with_its_engine_and_the_reason(shown):
    text, _ = shown
    rows = re.findall(r"^ +\d{3}  c\d   (chat|completion)( stream)? +(e\d) +(\S.*?)  ", text, re.M)
    assert len(rows) == 16, text
    assert {row[0] for row in rows} == {"chat", "completion"} and {row[1] for row in rows} == {"", " stream"}


def test_a_killed_engine_costs_only_the_streams_begun(shown):
    text, _ = shown
    assert re.search(r"^4/5 +failure +kill -9 e\d", text, re.M), text
    assert re.search(r"lost by the kill +0$", text, re.M), text


def test_the_summary_compares_and_all_is_stopped(shown):
    text, folder = shown
    assert re.search(r"^5/5 +summary", text, re.M) and "round_robin" in text and "expected_latency" in text
    assert re.search(r"^ +lost +0 +0$", text, re.M), text
    assert "Everything started here is stopped." in text
    for command in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert str(folder).encode() not in command.read_bytes()
        except OSError:
            continue
