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
    sys.modules[spec.name] = module  # where dataclasses look for their annotations
    spec.loader.exec_module(module)
    sys.path.pop(0)
    return module


proxy, routing, instructions = load("proxy"), load("routing"), load("proxy", "instructions")
soak, overload = load("soak"), load("overload")
stress, verdicts, world = (sys.modules[name] for name in ("client", "verdict", "world"))
idle, machine, peers, rows, report = (sys.modules[name] for name in ("idle", "machine", "peers", "rows", "report"))


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


class Idle(unittest.TestCase):
    def test_the_page_is_what_stands_behind_the_captured_head(self):
        self.assertEqual(idle.body_of(b"HTTP/1.1 200 OK\r\nx: y\r\n\r\na 1\n\nb 2\n"), b"a 1\n\nb 2\n")
        page = idle.body_of(idle.PAGE.read_bytes())
        self.assertIn(b"\nvllm:num_requests_waiting{", page)
        self.assertGreater(len(page), 54_000)


    def test_the_decision_is_read_off_the_micro_benchmark(self):
        runs = [{"name": "decision/4/4", "p99_us": 1.0, "allocations": 9.0},
                {"name": "decision/1000/1600", "p99_us": 71.5, "allocations": 0.0}]
        self.assertEqual(idle.read_decision(json.dumps({"benchmarks": runs})), {"decision": 71.5, "decision-heap": 0.0})
        with self.assertRaises(machine.Failed):
            idle.read_decision(json.dumps({"benchmarks": runs[:1]}))


class Rows(unittest.TestCase):
    def test_rows_of_one_window_share_it(self):
        shared = [[row.key for row in found] for _, found in rows.loads(rows.ROWS)]
        self.assertIn(["p50", "p99"], shared)
        self.assertEqual(sum(map(len, shared)), sum(bool(row.load) for row in rows.ROWS))

    def test_goals_are_of_nginx_or_absolute(self):
        self.assertEqual((rows.Goal(nginx=1.3).limit(10), rows.Goal(nginx=1.3).limit(None)), (13, None))
        self.assertEqual((rows.Goal(absolute=8).limit(100), rows.Goal().limit(100)), (8, None))
        self.assertEqual((rows.Goal(absolute=0).limit(None), rows.Goal(absolute=0).text(), rows.Goal().text()), (0, "none", ""))


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

    def test_a_terminal_gets_the_best_llm_router_of_each_row_only(self):
        lines = report.screen_table(self.figures(), self.PEERS, colour=False).splitlines()
        self.assertRegex(lines[1], r"^ *1 KB request, CPU us +<= 1.0 x nginx +24.0 +missed +20.0 +80.0 smg round_robin$")
        self.assertRegex(lines[2], r" 90 +met +100 +240 smg round_robin$")
        self.assertNotIn("cache_aware", "".join(lines))

    def test_rows_without_a_figure_are_left_out(self):
        self.assertNotIn("stripped binary", report.table(self.figures(), self.PEERS))

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


def fate(name, manner=stress.GOOD, **found):
    ask = stress.Ask(name, manner, stream=found.pop("stream", False), priority=found.pop("priority", ""))
    one = stress.Fate(ask, found.pop("begun", 0.0))
    one.status, one.whole, one.ended = 200, True, one.begun + found.pop("seconds", 0.1)
    for key, value in found.items():
        setattr(one, key, value)
    return one


class Journals(unittest.TestCase):
    BEFORE = "begin a.1\nfirst a.1\nend a.1\nbegin b.1\nbegin c.2\nfirst c.2\nbegin d.1\nfirst d.1\ngone d.1\nbegin e.1\nfirst e.1\n"

    def test_what_was_in_hand_is_told_by_whether_its_answer_had_begun(self):
        self.assertEqual(world.in_hand(self.BEFORE, len(self.BEFORE)), ({"c", "e"}, {"b"}))

    def test_what_is_given_up_at_the_end_was_in_hand_and_what_is_finished_was_not(self):
        after = "gone b.1\ngone c.2\nend e.1\n"
        self.assertEqual(world.in_hand(self.BEFORE + after, len(self.BEFORE)), ({"c"}, {"b"}))


class Fates(unittest.TestCase):
    def judged(self, data, **found):
        one = fate("x", data=data, **found)
        stress.judge(one)
        return one

    def test_a_stream_is_well_with_its_last_event_and_a_clean_end_only(self):
        whole = b'data: {"a":1}\n\ndata: [DONE]\n\n'
        self.assertTrue(self.judged(whole, stream=True).ok)
        self.assertFalse(self.judged(whole[:15], stream=True).ok)
        self.assertFalse(self.judged(whole, stream=True, whole=False).ok)

    def test_an_error_is_known_by_its_code(self):
        event = b'data: {"a":1}\n\ndata: {"error":{"code":"upstream_error","type":"t"}}\n\n'
        self.assertEqual(self.judged(event, stream=True, whole=False).error_code, "upstream_error")
        self.assertEqual(self.judged(b'{"error":{"type":"overloaded_error"}}', status=503).error_code, "overloaded_error")
        self.assertEqual(self.judged(b"<html>", status=503).error_code, "unreadable")


class Soak(unittest.TestCase):
    def verdict(self, fates, lost=(), stuck=()):
        """The checks of the answers, with what engines' journals say."""
        fake = types.SimpleNamespace(world=types.SimpleNamespace(journals=lambda: (set(lost), set(stuck))),
                                     answered=soak.Soak.answered)
        verdict = verdicts.Verdict()
        soak.Soak.judge_answers(fake, verdict, fates)
        return verdict

    BROKEN = {"stream": True, "whole": False, "error_code": "upstream_error"}

    def test_all_well_holds(self):
        self.assertTrue(self.verdict([fate("a"), fate("b", stream=True, done=True)]).holds)

    def test_a_failure_needs_a_killed_engine_that_had_begun_that_answer(self):
        self.assertTrue(self.verdict([fate("a", **self.BROKEN)], lost=["a"]).holds)
        self.assertFalse(self.verdict([fate("a", **self.BROKEN)], lost=["b"]).holds)
        self.assertFalse(self.verdict([fate("a", status=502)]).holds)

    def test_what_an_engine_lost_its_client_must_know(self):
        self.assertFalse(self.verdict([fate("b")], lost=["a"]).holds)
        self.assertTrue(self.verdict([fate("a", stress.LEAVES, left=True, status=0)], lost=["a"]).holds)

    def test_a_broken_stream_may_not_end_cleanly(self):
        self.assertFalse(self.verdict([fate("a", **{**self.BROKEN, "whole": True})], lost=["a"]).holds)

    def test_a_stalled_body_is_told_408_and_living_engines_hold_nothing(self):
        self.assertTrue(self.verdict([fate("a", stress.STALLS, status=408)]).holds)
        self.assertFalse(self.verdict([fate("a", stress.STALLS, status=0)]).holds)
        self.assertFalse(self.verdict([fate("a")], stuck=["x"]).holds)


class Overload(unittest.TestCase):
    def test_recovery_is_the_first_second_in_which_nearly_all_are_well(self):
        fates = [fate(str(i), begun=i / 10, status=200 if i >= 12 else 503) for i in range(40)]
        after = overload.Phase(0.0, 4.0, fates)
        self.assertEqual(overload.recovery(after, 1.0), 1.25)
        self.assertEqual(overload.recovery(overload.Phase(0.0, 4.0, [fate("x", status=503)]), 1.0), 4.0)
        self.assertEqual(overload.recovery(after, 0.05), 4.0, "slow is not well")

    def test_goodput_counts_what_came_whole_and_in_time(self):
        fates = [fate("a"), fate("b", seconds=3), fate("c", status=503), fate("d", whole=False)]
        self.assertEqual(overload.Phase(0.0, 2.0, fates).goodput(1.0), 0.5)


class Verdicts(unittest.TestCase):
    def test_one_check_that_fails_fails_all_and_is_marked(self):
        verdict = verdicts.Verdict()
        verdict.tell("requests", 7)
        verdict.at_most("stuck", 0, 0)
        self.assertTrue(verdict.holds)
        verdict.at_least("goodput", 0.5, 0.9)
        self.assertFalse(verdict.holds)
        lines = verdict.text(colour=False).splitlines()
        self.assertTrue(lines[2].endswith("at least 0.9  FAILED"), lines)
        self.assertIn("1 of the checks failed", lines[-1])

    def test_slope_and_percentiles(self):
        self.assertAlmostEqual(verdicts.slope([(0, 10), (1, 12), (2, 14)]), 2)
        self.assertEqual(verdicts.slope([(1, 5)]), 0)
        self.assertEqual([verdicts.percentile([3, 1, 2, 4], share) for share in (0.5, 0.95, 1)], [2, 4, 4])
        self.assertEqual(verdicts.percentile([], 0.5), 0)


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
