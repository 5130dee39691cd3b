#!/usr/bin/python3
"""Tests of what the benchmarks compute themselves: flags, tables and summaries, without a process."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import types
import unittest
import unittest.mock

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
machine, peers, rows, report = (sys.modules[name] for name in ("machine", "peers", "rows", "report"))


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


class Machine(unittest.TestCase):
    def test_sizes_are_read_off_proc(self):
        text = "Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n"
        self.assertEqual((machine.status_kib(text, "VmRSS"), machine.status_kib(text, "VmHWM")), (1024, 2048))
        self.assertEqual(machine.status_kib("Name:\tkthread\n", "VmRSS"), 0)

    def test_a_tree_is_a_process_and_its_children(self):
        with subprocess.Popen(["sleep", "60"]) as child:
            self.assertIn(child.pid, machine.tree(os.getpid()))
            child.kill()

    def test_a_run_with_errors_or_without_answers_is_no_figure(self):
        good = '{"seconds": 2.0, "requests": 7, "events": 0, "errors": 0, "why": "", "cpu_us": 70.0}'
        self.assertEqual(machine.read_result("open\n" + good)["requests"], 7)
        for text, why in (("", "said nothing"), (good.replace('"errors": 0', '"errors": 3'), "3 errors"),
                          (good.replace('"requests": 7', '"requests": 0'), "nothing was answered")):
            with self.assertRaisesRegex(machine.Failed, why):
                machine.read_result(text)


class Rows(unittest.TestCase):
    def test_rows_of_one_window_share_it(self):
        shared = [[row.key for row in found] for _, found in rows.loads(rows.ROWS)]
        self.assertIn(["p50", "p99"], shared)
        self.assertEqual(sum(map(len, shared)), sum(bool(row.load) for row in rows.ROWS))

    def test_goals_are_of_nginx_or_absolute(self):
        self.assertEqual((rows.Goal(nginx=1.3).limit(10), rows.Goal(nginx=1.3).limit(None)), (13, None))
        self.assertEqual((rows.Goal(absolute=8).limit(100), rows.Goal().limit(100)), (8, None))


class Report(unittest.TestCase):
    PEERS = [peers.Peer(name, name.split()[0], None, llm) for name, llm in
             (("infermesh", False), ("nginx", False), ("smg round_robin", True), ("smg cache_aware", True))]

    def figures(self):
        figures = rows.Figures()
        for peer, cost in zip(self.PEERS, (12, 10, 40, 60)):
            for factor in (1, 3, 2):
                figures.add("1k", peer.name, cost * factor)
        for name, late in (("direct", 60), ("infermesh", 150), ("nginx", 160), ("smg round_robin", 300)):
            figures.add("p50", name, late)
        return figures

    def test_a_row_has_medians_ratios_and_whether_the_goal_is_met(self):
        lines = report.table(self.figures(), self.PEERS).splitlines()
        self.assertEqual({line.count("|") for line in lines}, {10})
        self.assertEqual(len({len(line) for line in lines}), 1, "columns are straight")
        self.assertEqual([cell.strip() for cell in lines[2].split("|")[1:-1]],
                         ["1 KB request, CPU us", "<= 1.0 x nginx", "**24.0**", "**no**", "1.20", "0.30", "20.0", "80.0", "120.0"])

    def test_added_latency_is_what_is_over_the_direct_way(self):
        figures = self.figures()
        latency = next(row for row in rows.ROWS if row.key == "p50")
        self.assertEqual(report.value(figures, latency, "infermesh"), 90)
        self.assertIsNone(report.value(figures, latency, "smg cache_aware"))
        self.assertEqual(report.cells(figures, latency, self.PEERS)[3:6], ["yes", "0.90", "0.38"])
        figures.samples["p50"].pop("direct")
        self.assertIsNone(report.value(figures, latency, "infermesh"))

    def test_rows_without_a_figure_are_left_out_and_misses_are_told(self):
        self.assertNotIn("stripped binary", report.table(self.figures(), self.PEERS))
        self.assertEqual(report.missed(self.figures()), ["1 KB request, CPU us: 24.0, goal 20.0"])

    def test_the_page_keeps_what_is_around_the_table(self):
        page = f"a\n{report.BEGIN}\nold\n{report.END}\nb\n"
        self.assertEqual(report.replace_between(page, "new\n"), f"a\n{report.BEGIN}\nnew\n{report.END}\nb\n")
        with self.assertRaises(ValueError):
            report.replace_between("a page without marks", "new")
        kept = (HERE.parent / "docs/benchmarks.md").read_text()
        self.assertEqual(report.replace_between(report.replace_between(kept, "x"), "y").count(report.BEGIN), 1)


class Proxy(unittest.TestCase):
    def test_a_name_stands_for_all_that_begin_with_it(self):
        names = [peer.name for peer in peers.PEERS]
        self.assertEqual(proxy.chosen("smg,nginx", names, "peer"), ["nginx", "smg round_robin", "smg cache_aware"])
        self.assertEqual(proxy.chosen(None, names, "peer"), names)
        with self.assertRaisesRegex(SystemExit, 'no peer "ngnix"; choose from infermesh'):
            proxy.chosen("ngnix", names, "peer")

    def test_every_peer_gets_its_port_and_all_engines(self):
        with tempfile.TemporaryDirectory() as folder:
            setting = peers.Setting(pathlib.Path(folder), [5001, 5002], 5000, pathlib.Path("infermesh"))
            for peer in peers.PEERS:
                command = " ".join(peer.command(setting))
                for config in pathlib.Path(folder).glob("*.c*f*"):
                    command += config.read_text()
                for port in (":5001", ":5002", "5000"):
                    self.assertIn(port, command, peer.name)

    def test_what_is_not_installed_is_named_with_the_reason(self):
        with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.object(peers, "VENVS", pathlib.Path(folder)):
            self.assertIn("tools/setup.sh bench", peers.missing("smg", pathlib.Path("/nowhere")))
            pathlib.Path(folder, "smg.reason").write_text("pip install smg==1 failed\n")
            self.assertEqual(peers.missing("smg", pathlib.Path("/nowhere")), "pip install smg==1 failed")
            self.assertIn("make build", peers.missing("infermesh", pathlib.Path("/nowhere")))


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
