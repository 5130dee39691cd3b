#!/usr/bin/python3
"""Tests of what the benchmarks compute themselves: flags, tables and summaries, without a process."""
import importlib.util
import json
import pathlib
import sys
import tempfile
import types
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent


def load(name, program="run"):
    sys.path.insert(0, str(HERE / name))  # for what it imports beside it
    spec = importlib.util.spec_from_file_location(f"{name}_{program}", HERE / name / f"{program}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.pop(0)
    return module


proxy, routing, instructions = load("proxy"), load("routing"), load("proxy", "instructions")


class Instructions(unittest.TestCase):
    TEXT = """--------
Ir
40,000 (100.0%)  PROGRAM TOTALS

10,000 (25.00%)  build/../src/wire/json/scanner.cc:infermesh::json::Scanner::next() [/tmp/infermesh]
   100 ( 0.25%)  ???:operator new(unsigned long)
"""

    def test_lines_are_per_request_and_without_paths(self):
        self.assertEqual(instructions.parse(self.TEXT, 100, 1.0),
                         [(400, 100.0, "PROGRAM TOTALS"), (100, 25.0, "infermesh::json::Scanner::next()")])


class Ready(unittest.TestCase):
    def test_an_engine_is_ready_when_its_load_was_read_a_few_times(self):
        metrics = ('infermesh_polls_total{engine="e1",result="ok"} 3\ninfermesh_polls_total{engine="e2",result="ok"} 2\n'
                   'infermesh_polls_total{engine="e3",result="failed"} 9\n')
        self.assertEqual(routing.looked_at_often(metrics), ["e1"])


class Proxy(unittest.TestCase):
    def test_requests_are_read_off_what_wrk_prints(self):
        self.assertEqual(proxy.requests_of("Running 2s test\n  41207 requests in 2.00s, 9.1MB read\n"), 41207)

    def test_a_run_with_errors_is_no_figure(self):
        for text in ("10 requests in 2.00s\n  Non-2xx or 3xx responses: 3\n", "10 requests in 2s\n  Socket errors: read 1\n",
                     "unable to connect"):
            with self.assertRaises(SystemExit):
                proxy.requests_of(text)

    def test_the_table_has_medians_and_ratios_to_nginx(self):
        rows = {name: {case: [(cost, 0), (cost * 3, 0), (cost * 2, 0)] for case in proxy.CASES}
                for name, cost in (("nginx", 10.0), ("infermesh, round_robin", 15.0))}
        lines = proxy.table(rows, {name: 5.04 for name in rows}).splitlines()
        self.assertEqual(lines[0].count("|"), lines[2].count("|"))
        self.assertTrue(lines[2].startswith("| nginx | 20.0 | 1.00 |") and lines[2].endswith("| 5.0 |"), lines[2])
        self.assertIn("| 30.0 | 1.50 |", lines[3])


def result(p50=0.1, errors=None):
    return {"ttft_seconds": {"p50": p50, "p90": 0.2, "p99": 1.5}, "tpot_seconds": {"p50": 0.02, "p90": 0.03}, "good": 90,
            "requests": 100, "goodput_per_second": 4.5, "hit_ratio": 0.71, "errors": errors or {}}


class Routing(unittest.TestCase):
    def test_a_row_tells_goodput_times_and_its_ratio_to_the_oracle(self):
        row = routing.table_row("session", result(0.15, {"reset": 2, "503": 1}), result(0.1))
        self.assertEqual(row, "| session | 4.5/s (90%) | 150 | 200 | 1,500 | 20 | 30 | 71% | 1 503, 2 reset | 1.50 / 1.00 |")
        self.assertEqual(row.count("|"), routing.HEAD.splitlines()[0].count("|"))
        self.assertIn("| 0 |", routing.table_row("session", result(), result()))

    def test_scenarios_become_flags(self):
        trace, prefix = routing.SCENARIOS[0], routing.SCENARIOS[3]
        self.assertEqual(trace.flags(2.5, 40, "rows.jsonl")[:4], ["--trace", "rows.jsonl", "--speed", "2.500"])
        self.assertEqual(prefix.flags(8, 40, None)[-4:], ["--rate", "8.000", "--duration", "40s"])
        self.assertIn("8 shared prefixes", prefix.title())
        self.assertIn("one engine killed", routing.SCENARIOS[-1].title())

    def test_a_run_takes_the_rows_of_the_trace_that_fill_it(self):
        with tempfile.TemporaryDirectory() as folder:
            bench = types.SimpleNamespace(seconds=10, rows_file=pathlib.Path(folder) / "rows.jsonl")
            kept = routing.Bench.rows_for(bench, 2.0).read_text().splitlines()
        stamps = [json.loads(line)["timestamp"] for line in kept]
        self.assertGreater(len(stamps), 5)
        self.assertLessEqual((stamps[-1] - stamps[0]) / 1000 / 2.0, 10)

    def test_a_wrong_name_is_refused_with_the_right_ones(self):
        self.assertEqual(routing.chosen("random, session", ["random", "session"], "policy"), ["random", "session"])
        with self.assertRaisesRegex(SystemExit, 'no policy "rnd"; choose from random'):
            routing.chosen("rnd", ["random"], "policy")


if __name__ == "__main__":
    unittest.main()
