"""`infermesh bench`: the load generator as a process, against a simulated engine and through the
router.
"""

import json
import os
import pty
import subprocess

import pytest
from harness.mesh import run_cli
from harness.process import clean_environment, find_binary

SMALL = ("--output-tokens", "4", "--unique-tokens", "16")


def bench(url: str, *flags: str, code: int = 0) -> dict:
    told = run_cli("bench", url, *SMALL, *flags, "-o", "json")
    assert told.returncode == code, told.stderr
    assert not told.stderr, "no progress where nobody looks at a terminal"
    return json.loads(told.stdout)


def test_a_closed_loop_tells_times_rates_and_tokens(sim_engine):
    report = bench(sim_engine(), "--concurrency", "2", "--requests", "12")
    assert (report["requests"], report["answered"], report["failed"]) == (12, 12, 0)
    for name in ("ttft_seconds", "itl_seconds", "e2e_seconds"):
        figures = report[name]
        assert figures["count"] >= 12, name
        assert 0 < figures["p50"] <= figures["p90"] <= figures["p99"] <= figures["max"], name
    assert report["output_tokens"] == 48 and report["output_tokens_per_second"] > 0
    assert report["goodput_per_second"] > 0 and report["errors"] == {}


def test_an_open_loop_through_the_router_names_the_engines(start, sim_engine):
    mesh = start.up(sim_engine(), sim_engine())
    url = f"http://{mesh.address[0]}:{mesh.address[1]}"
    report = bench(url, "--rate", "40", "--requests", "20", "--prefixes", "2")
    assert report["answered"] == 20 and sum(report["engines"].values()) == 20
    assert report["hit_ratio"] > 0, "shared prefixes are found again"


@pytest.mark.parametrize("kind", ["mooncake.jsonl", "azure.csv"])
def test_a_trace_is_replayed(sim_engine, tmp_path, kind):
    traces = {
        "mooncake.jsonl": '{"timestamp": 0, "input_length": 40, "output_length": 3, "hash_ids": [0]}\n'
        '{"timestamp": 900, "input_length": 40, "output_length": 5, "hash_ids": [0]}\n',
        "azure.csv": "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.0000000,40,3\n2023-11-16 18:15:46.9000000,40,5\n",
    }
    file = tmp_path / kind
    file.write_text(traces[kind])
    report = bench(sim_engine(), "--trace", str(file), "--speed", "3")
    assert report["answered"] == 2 and report["output_tokens"] == 8
    assert report["seconds"] >= 0.3


def test_failures_are_counted_by_code_and_make_it_exit_1(sim_engine):
    url = sim_engine("--fault", "status=503")
    report = bench(url, "--requests", "3", "--concurrency", "1", code=1)
    assert report["errors"] == {"http_503": 3} and report["answered"] == 0


def test_a_server_that_is_not_there_is_unavailable():
    told = run_cli("bench", "http://127.0.0.1:1", "--requests", "1")
    assert told.returncode == 6 and "refused" in told.stderr and not told.stdout


def test_a_person_sees_a_table_and_meanwhile_one_moving_line(sim_engine):
    main, child = pty.openpty()
    process = subprocess.Popen(
        [find_binary(), "bench", sim_engine(), *SMALL, "--rate", "20", "--duration", "1300ms"],
        stdout=subprocess.PIPE,
        stderr=child,
        text=True,
        env=clean_environment(),
    )
    os.close(child)
    table, _ = process.communicate(timeout=30)
    shown = os.read(main, 65536).decode()
    os.close(main)
    assert process.returncode == 0
    for word in ("requests in", "ttft", "itl", "e2e", "p50", "p90", "p99", "output/s"):
        assert word in table, table
    assert "answered" in shown and "in flight" in shown and "\n" not in shown.strip(), shown
    assert shown.startswith("\r\x1b[K") and shown.endswith("\r\x1b[K"), "it leaves no trace"
