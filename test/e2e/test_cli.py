"""The command line: data on stdout, messages on stderr, exit codes that scripts can trust."""

import json
import os
import pty
import subprocess
import time

import pytest
import yaml
from harness.mesh import engine, run_cli, write_objects
from harness.process import find_binary
from harness.wait import SLOW

LISTS = ["engines", "models", "pools"]


@pytest.fixture
def mesh(routed):
    found, _ = routed(2)
    found.chat()
    return found


# ---- looking
@pytest.mark.parametrize("verb", ["status", *LISTS])
@pytest.mark.parametrize("form", ["table", "wide", "json", "yaml"])
def test_every_view_prints_in_every_form(mesh, verb, form):
    told = mesh.cli(verb, "-o", form)
    assert told.returncode == 0, told.stderr
    assert told.stderr == "" and told.stdout.strip()
    if form == "json":
        assert isinstance(json.loads(told.stdout), dict)
    if form == "yaml":
        assert isinstance(yaml.safe_load(told.stdout), dict)
    if form == "table":
        assert max(map(len, told.stdout.splitlines())) <= 80, told.stdout
    assert "\x1b" not in told.stdout, "no colour into a pipe"


def test_status_shows_problems_first(routed):
    mesh, (one, two) = routed(2)
    assert "no problems" in mesh.cli("status").stdout
    two.die()
    mesh.wait_state("e2", "down")
    told = mesh.cli("status")
    assert told.returncode == 1
    assert "e2" in told.stdout and "infermesh explain engine e2" in told.stdout
    assert told.stdout.index("\nproblems") < told.stdout.index("\nmodel")


def test_names_alone_are_for_scripts(mesh):
    assert mesh.cli("engines", "-o", "name").stdout.split() == ["e1", "e2"]
    assert mesh.cli("models", "-o", "name").stdout.split() == ["m"]


def test_an_engine_is_explained(mesh):
    told = mesh.cli("explain", "engine", "e1")
    assert told.returncode == 0 and "e1" in told.stdout and "ready" in told.stdout


def test_watch_prints_a_json_line_for_each_change_into_a_pipe(mesh):
    with subprocess.Popen(
        [str(find_binary()), "status", "--watch", "-o", "json", "--admin", mesh.admin_url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watching:
        lines = [json.loads(watching.stdout.readline()) for _ in range(2)]
        watching.terminate()
    assert all(line["engines"]["total"] == 2 for line in lines)


# ---- finding the mesh
def test_the_mesh_is_found_by_environment(mesh):
    assert run_cli(
        "engines", "-o", "name", env={"INFERMESH_ADMIN": mesh.admin_url}
    ).stdout.split() == ["e1", "e2"]


def test_a_flag_is_stronger_than_the_environment(mesh):
    told = run_cli(
        "status", "--admin", mesh.admin_url, env={"INFERMESH_ADMIN": "http://127.0.0.1:1"}
    )
    assert told.returncode == 0


def test_no_mesh_is_unavailable_and_says_what_to_do():
    told = run_cli("status", "--admin", "http://127.0.0.1:1")
    assert told.returncode == 6 and told.stdout == ""
    assert "127.0.0.1:1" in told.stderr and "infermesh up" in told.stderr


# ---- mistakes
@pytest.mark.parametrize(
    "words, told",
    [
        (["statsu"], ["statsu", "status"]),
        (["status", "--outptu", "json"], ["--outptu", "--output"]),
        (["status", "-o", "jsno"], ["jsno", "json"]),
        (["explain", "a", "b", "c", "d"], ["explain"]),
        (["up", "--lisen", "127.0.0.1:0"], ["--lisen", "--listen"]),
        (["up", "--listen", "nowhere"], ["listen", "nowhere"]),
        (["up", "--shards", "many"], ["shards", "many"]),
        (["up", "--engine", "ftp://localhost"], ["engine", "ftp"]),
        (
            ["up", "--default-policy", "expected_latencyy"],
            ["expected_latencyy", "expected_latency"],
        ),
        (["engine", "--modle", "x"], ["--modle", "--model"]),
        (["engine", "--model", "x", "--fault", "dealy=1s"], ["dealy", "delay"]),
    ],
)
def test_a_mistake_is_2_and_names_the_nearest(words, told):
    done = run_cli(*words)
    assert done.returncode == 2, done
    assert done.stdout == ""
    for word in told:
        assert word in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) <= 6


@pytest.mark.parametrize(
    "text, told",
    [
        ("lisen: 127.0.0.1:0\n", [":1:1", "lisen", "listen"]),
        ("listen: 127.0.0.1:0\nshards: lots\n", [":2:9", "shards", "lots"]),
        ("listen: [\n", ["infermesh.yaml:"]),
        ("shards: 1\nshards: 2\n", [":2:1", "shards"]),
        ("default_policy: round_robbin\n", [":1:17", "round_robbin", "round_robin"]),
        ("drain_timeout: 5 parsecs\n", [":1:16", "drain_timeout"]),
    ],
)
def test_a_bad_settings_file_is_2_with_line_and_column(tmp_path, text, told):
    (tmp_path / "infermesh.yaml").write_text(text)
    for verb in (["run"], ["config", "validate"]):
        done = run_cli(*verb, "--config", "infermesh.yaml", cwd=tmp_path)
        assert done.returncode == 2, done
        for word in told:
            assert word in done.stdout + done.stderr, (verb, done)


def test_settings_come_from_file_environment_and_flag_in_that_order(start, fake, tmp_path):
    one = fake()
    (tmp_path / "settings.yaml").write_text(
        "shards: 2\ndecision_headers: off\nsse_keepalive_first: 9s\n"
    )
    arguments = [
        "config",
        "view",
        "--origin",
        "-o",
        "json",
        "--config",
        str(tmp_path / "settings.yaml"),
        "--shards",
        "1",
    ]
    done = run_cli(*arguments, env={"INFERMESH_SHARDS": "3", "INFERMESH_SSE_KEEPALIVE_FIRST": "8s"})
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert "9s" not in text and "8s" in text
    mesh = start.run(
        [engine("e1", one.url)],
        env={"INFERMESH_SHARDS": "3"},
        config=tmp_path / "settings.yaml",
        shards=1,
    )
    assert mesh.status()["shards"] == 1
    assert mesh.chat().header("x-infermesh-engine") is None, "the file's decision_headers: off"


def test_an_environment_variable_that_is_wrong_is_named():
    done = run_cli("up", env={"INFERMESH_SHARDS": "lots"})
    assert done.returncode == 2 and "INFERMESH_SHARDS" in done.stderr


def test_a_port_that_is_taken_is_told_and_ends(mesh):
    done = run_cli(
        "up",
        "--listen",
        "127.0.0.1:%d" % mesh.address[1],
        "--admin-listen",
        "127.0.0.1:0",
        within=20,
    )
    assert done.returncode in (2, 5, 6), done
    assert str(mesh.address[1]) in done.stderr


# ---- files
def test_objects_are_validated_without_a_mesh(tmp_path):
    write_objects(tmp_path / "good.yaml", [engine("e1", "http://127.0.0.1:9")])
    assert run_cli("config", "validate", "--objects", str(tmp_path)).returncode == 0
    (tmp_path / "bad.yaml").write_text("kind: Engine\nname: e2\nspec:\n  enigne: x\n")
    done = run_cli("config", "validate", "--objects", str(tmp_path))
    assert done.returncode == 2 and "bad.yaml:4:3" in done.stdout + done.stderr


# ---- the doctor
def test_check_is_a_doctor(routed):
    mesh, (one, two) = routed(2)
    well = mesh.cli("check")
    assert well.returncode == 0, well.stdout + well.stderr
    two.die()
    mesh.wait_state("e2", "down")
    ill = mesh.cli("check")
    assert ill.returncode == 1 and "e2" in ill.stdout and "1 failure" in ill.stdout
    data = json.loads(mesh.cli("check", "-o", "json").stdout)
    assert data


def test_check_without_a_mesh_says_so():
    done = run_cli("check", "--admin", "http://127.0.0.1:1")
    assert done.returncode in (1, 6) and "127.0.0.1:1" in done.stdout + done.stderr


# ---- help, version, completion
def test_help_shows_examples_first():
    done = run_cli("status", "--help")
    assert done.returncode == 0 and done.stdout.index(
        "infermesh status --watch"
    ) < done.stdout.index("flags")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_help_of_everything_works():
    for words in (
        [],
        ["help"],
        ["--help"],
        ["up", "--help"],
        ["run", "--help"],
        ["engine", "--help"],
        ["bench", "--help"],
        ["config", "validate", "--help"],
        ["route", "test", "--help"],
        ["help", "drain"],
    ):
        done = run_cli(*words)
        assert done.returncode in (0, 2 if not words else 0), (words, done.stderr)
        assert "infermesh" in done.stdout + done.stderr


def test_version_is_told_with_and_without_a_mesh(mesh):
    assert run_cli("version", "--admin", "http://127.0.0.1:1").returncode == 0
    assert json.loads(mesh.cli("version", "-o", "json").stdout)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_written_for_every_shell(shell):
    done = run_cli("completion", shell)
    assert done.returncode == 0 and "infermesh" in done.stdout


def test_completion_knows_live_names(mesh):
    assert mesh.cli("__complete", "engines").stdout.split() == ["e1", "e2"]


def test_the_bash_completion_is_valid_bash():
    script = run_cli("completion", "bash").stdout
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


def test_it_starts_in_twenty_milliseconds():
    best = min(
        time_of(lambda: run_cli("version", "--admin", "http://127.0.0.1:1", "--timeout", "1ms"))
        for _ in range(10)
    )
    assert best < 0.02 * SLOW * (2 if "dev" in str(find_binary()) else 1), f"{best * 1000:.0f} ms"


def time_of(work) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


# ---- terminals
def in_terminal(arguments: list[str], env: dict[str, str]) -> str:
    """What the command prints when its stdout is a terminal."""
    main, child = pty.openpty()
    clean = {
        key: value
        for key, value in os.environ.items()
        if key not in ("NO_COLOR", "FORCE_COLOR", "TERM")
    }
    process = subprocess.Popen(
        [str(find_binary()), *arguments],
        stdout=child,
        stderr=child,
        stdin=subprocess.DEVNULL,
        env={**clean, "TERM": "xterm", **env},
    )
    os.close(child)
    text = b""
    while True:
        try:
            data = os.read(main, 4096)
        except OSError:
            break
        if not data:
            break
        text += data
    os.close(main)
    process.wait(10)
    return text.decode()


def test_colour_is_for_terminals_that_want_it(mesh):
    arguments = ["status", "--admin", mesh.admin_url]
    assert "\x1b[" in in_terminal(arguments, {})
    assert "\x1b[" not in in_terminal(arguments, {"NO_COLOR": "1"})
    assert "\x1b[" not in in_terminal(arguments, {"TERM": "dumb"})
    assert "\x1b[" in mesh.cli("status", env={"FORCE_COLOR": "1"}).stdout
