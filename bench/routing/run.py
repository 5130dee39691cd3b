#!/usr/bin/env python3
"""Compares routing policies: eight simulated engines as real processes, two of them at half speed, the real router in
front, real HTTP between them; the oracle of oracle.cc beside them as the reference. Writes a Markdown report.

    make bench-routing                             the first cut: four policies, three scenarios, about 8 minutes
    make bench-routing ARGS='--full'               every policy and scenario, about 40 minutes
    make bench-routing ARGS='--policies expected_latency --scenarios trace-70'

Only the standard library. Nothing it starts outlives it.
"""
import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRACE = ROOT / "bench/routing/traces/mooncake_conversation_2000.jsonl"

ENGINE_SPEEDS = [1, 1, 1, 1, 1, 1, 0.5, 0.5]
# An A10-like card with a small step budget, so that a long prompt does not hold up everybody's next token for long.
ENGINE_LIMITS = ["--profile", "a10-8b", "--kv-blocks", "8000", "--max-num-batched-tokens", "512"]
LENGTH_SCALE = 0.1  # of the trace's prompts and answers: a mean of 1,370 and 35 tokens
SLO = "ttft=1s,tpot=150ms"
WARM_UP = 5  # seconds that are not counted
POLICIES = ["expected_latency", "prefix_affinity", "power_of_two", "least_request", "random", "round_robin"]
FIRST_POLICIES = ["expected_latency", "prefix_affinity", "least_request", "round_robin"]
ORACLES = ["oracle_ttft", "oracle_e2e", "round_robin"]


class Scenario:
    """A workload at a share of what the engines can carry, as flags that both the load generator and the oracle take."""

    def __init__(self, name, load, kind, prefixes=0, kill=False):
        self.name, self.load, self.kind, self.prefixes, self.kill = name, load, kind, prefixes, kill

    def flags(self, pace, seconds, rows):
        if self.kind == "trace":
            return ["--trace", str(rows), "--speed", f"{pace:.3f}", "--length-scale", str(LENGTH_SCALE)]
        return ["--prefixes", str(self.prefixes), "--prefix-tokens", "2048", "--unique-tokens", "256",
                "--output-tokens", "48", "--rate", f"{pace:.3f}", "--duration", f"{seconds}s"]

    def title(self):
        load = f"{self.load:.0%} load"
        if self.kind == "trace":
            return f"Mooncake conversation trace, {load}" + (", one engine killed and restarted" if self.kill else "")
        return f"{self.prefixes} shared prefixes of 2,048 tokens, {load}"


SCENARIOS = [
    Scenario("trace-50", 0.5, "trace"),
    Scenario("trace-70", 0.7, "trace"),
    Scenario("trace-90", 0.9, "trace"),
    Scenario("prefix-8", 0.7, "prefix", 8),
    Scenario("prefix-64", 0.7, "prefix", 64),
    Scenario("prefix-512", 0.7, "prefix", 512),
    Scenario("kill", 0.6, "trace", kill=True),
]
FIRST_SCENARIOS = ["trace-70", "prefix-64", "kill"]


def say(text):
    print(text, file=sys.stderr, flush=True)


class Processes:
    """Child processes; all of them end with the block."""

    def __init__(self):
        self.all = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.all:
            if process.poll() is None:
                process.terminate()
        for process in self.all:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, words, log):
        with open(log, "ab") as out:
            process = subprocess.Popen([str(word) for word in words], stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        self.all.append(process)
        return process


def looked_at_often(metrics, least=3):
    """The engines whose load the router has read a few times."""
    reads = re.findall(r'^infermesh_polls_total\{engine="([^"]+)",result="ok"\} (\d+)', metrics, re.MULTILINE)
    return [engine for engine, count in reads if int(count) >= least]


def wait_for_file(path, process, what, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"{what} ended at once with {process.returncode}; see its log beside {path}")
        if path.exists() and path.stat().st_size > 0:
            return json.loads(path.read_text())
        time.sleep(0.02)
    raise SystemExit(f"{what} was not ready within {seconds} s")


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""


class Mesh:
    """The engines and the router of one run."""

    def __init__(self, binary, folder, policy, processes):
        self.binary, self.folder, self.policy, self.processes = binary, folder, policy, processes
        self.engines, self.urls = [], []

    def start(self):
        for number, speed in enumerate(ENGINE_SPEEDS):
            process, url = self.start_engine(number, speed, "127.0.0.1:0")
            self.engines.append(process)
            self.urls.append(url)
        objects = self.folder / "objects"
        objects.mkdir()
        documents = [f"kind: Engine\nname: e{n + 1}\nspec:\n  url: {url}\n" for n, url in enumerate(self.urls)]
        (objects / "mesh.yaml").write_text("---\n".join(documents))
        ready = self.folder / "router.ready"
        router = self.processes.start(
            [self.binary, "run", "--objects", objects, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
             "--ready-file", ready, "--access-log", "off", "--shards", "1", "--default-policy", self.policy],
            self.folder / "router.log")
        bound = wait_for_file(ready, router, "the router")
        self.url, self.admin = f"http://{bound['listen']}", f"http://{bound['admin']}"
        self.wait_until_all_ready()

    def start_engine(self, number, speed, listen):
        ready = self.folder / f"engine{number + 1}.ready"
        ready.unlink(missing_ok=True)
        process = self.processes.start(
            [self.binary, "engine", "--model", "sim", *ENGINE_LIMITS, "--speed", speed, "--seed", number + 1,
             "--listen", listen, "--ready-file", ready], self.folder / f"engine{number + 1}.log")
        return process, wait_for_file(ready, process, f"engine {number + 1}")["urls"][0]

    def wait_until_all_ready(self):
        until = time.monotonic() + 20
        while time.monotonic() < until:
            status, text = get(self.admin + "/metrics")
            if status == 200 and get(self.admin + "/readyz")[0] == 200 and get(self.url + "/v1/models")[0] == 200:
                ready = [line for line in text.splitlines()
                         if line.startswith("infermesh_engine_state{") and 'state="ready"' in line and line.endswith(" 1")]
                if len(ready) == len(self.urls) == len(looked_at_often(text)):
                    return
            time.sleep(0.05)
        raise SystemExit("the router did not find every engine ready within 20 s; see its log in bench-routing")

    def kill(self, number):
        self.engines[number].send_signal(signal.SIGKILL)
        self.engines[number].wait()

    def bring_back(self, number):
        listen = self.urls[number].removeprefix("http://")
        self.engines[number], _ = self.start_engine(number, ENGINE_SPEEDS[number], listen)


class Bench:
    def __init__(self, arguments):
        self.binary = pathlib.Path(arguments.build) / "infermesh"
        self.oracle = pathlib.Path(arguments.build) / "routing_oracle"
        self.client = [self.binary, "bench"]
        self.seconds = arguments.seconds
        self.capacities = {}
        self.logs = pathlib.Path(arguments.build) / "bench-routing"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.rows_file = self.logs / "trace.jsonl"

    def build_oracle(self):
        subprocess.run(["ninja", "-C", str(self.oracle.parent), "routing_oracle"], check=True, stdout=sys.stderr)

    def rows_for(self, pace):
        """The first rows of the trace, as many as fill the run at this pace."""
        kept = []
        first = None
        for line in TRACE.read_text().splitlines():
            at = json.loads(line)["timestamp"]
            first = at if first is None else first
            if (at - first) / 1000 / pace > self.seconds:
                break
            kept.append(line)
        self.rows_file.write_text("\n".join(kept) + "\n")
        return self.rows_file

    def pace_flags(self, scenario, pace):
        rows = self.rows_for(pace) if scenario.kind == "trace" else None
        return scenario.flags(pace, self.seconds, rows)

    def simulate(self, policy, scenario, pace):
        words = [self.oracle, "--policy", policy, "--engines", ",".join(map(str, ENGINE_SPEEDS)), *ENGINE_LIMITS,
                 *self.pace_flags(scenario, pace), "--slo", SLO, "--warm-up", f"{WARM_UP}s"]
        if scenario.kill:
            words += ["--kill", "1", "--kill-at", f"{self.seconds / 3:.0f}s", "--back-at", f"{self.seconds / 2:.0f}s"]
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        return json.loads(done.stdout)

    def capacity(self, scenario):
        """The pace at which even the oracle's slowest tenth waits two seconds: found by halving."""
        key = (scenario.kind, scenario.prefixes)
        if key not in self.capacities:
            steady = Scenario(scenario.name, 1, scenario.kind, scenario.prefixes)
            low, high = 0.1, 200.0
            while high / low > 1.03:
                middle = (low * high) ** 0.5
                carried = self.simulate("oracle_ttft", steady, middle)["ttft_seconds"]["p90"] < 2
                low, high = (middle, high) if carried else (low, middle)
            self.capacities[key] = low
        return self.capacities[key]

    def measure(self, policy, scenario, pace):
        with tempfile.TemporaryDirectory(prefix="infermesh-routing-") as name, Processes() as processes:
            folder = pathlib.Path(name)
            try:
                mesh = Mesh(self.binary, folder, policy, processes)
                mesh.start()
                words = [*self.client, mesh.url, *self.pace_flags(scenario, pace), "--slo", SLO, "--warm-up",
                         f"{WARM_UP}s", "--model", "sim", "-o", "json"]
                timers = []
                if scenario.kill:
                    timers = [threading.Timer(self.seconds / 3, mesh.kill, [0]),
                              threading.Timer(self.seconds / 2, mesh.bring_back, [0])]
                for timer in timers:
                    timer.start()
                load = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
                for timer in timers:
                    timer.cancel()
                    timer.join()
            finally:
                self.keep_logs(folder, policy, scenario)
        if load.returncode not in (0, 1):
            raise SystemExit(f"the load generator failed: {load.stderr}")
        return json.loads(load.stdout)

    def keep_logs(self, folder, policy, scenario):
        for log in folder.glob("router.log"):
            (self.logs / f"{scenario.name}-{policy}.log").write_bytes(log.read_bytes())


def milliseconds(seconds):
    return f"{seconds * 1000:,.0f}"


def errors_of(result):
    if not result["errors"]:
        return "0"
    return ", ".join(f"{count} {name}" for name, count in sorted(result["errors"].items()))


def table_row(name, result, oracle):
    ttft, tpot = result["ttft_seconds"], result["tpot_seconds"]
    share = result["good"] / max(result["requests"], 1)
    ratios = [ttft[p] / oracle["ttft_seconds"][p] if oracle["ttft_seconds"][p] else 0 for p in ("p50", "p90")]
    return (f"| {name} | {result['goodput_per_second']:.1f}/s ({share:.0%}) | {milliseconds(ttft['p50'])} | "
            f"{milliseconds(ttft['p90'])} | {milliseconds(ttft['p99'])} | {milliseconds(tpot['p50'])} | "
            f"{milliseconds(tpot['p90'])} | {result['hit_ratio']:.0%} | {errors_of(result)} | "
            f"{ratios[0]:.2f} / {ratios[1]:.2f} |")


HEAD = ("| policy | goodput | ttft p50 | p90 | p99 | tpot p50 | p90 | hits | errors | ttft p50 / p90, oracle = 1 |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |")

NAMES = {"oracle_ttft": "**oracle** (first token)", "oracle_e2e": "oracle (last token)",
         "round_robin": "round_robin, simulated"}


def run_scenario(bench, scenario, policies, results):
    pace = bench.capacity(scenario) * scenario.load
    unit = "times the recorded speed" if scenario.kind == "trace" else "requests/s"
    say(f"{scenario.name}: {scenario.title()}, {pace:.2f} {unit}")
    lines = [f"## {scenario.title()}", "", f"{pace:.2f} {unit}, {bench.seconds} s.", "", HEAD]
    oracles = {name: bench.simulate(name, scenario, pace) for name in ORACLES}
    for name in ORACLES:
        lines.append(table_row(NAMES[name], oracles[name], oracles["oracle_ttft"]))
        results.append({"scenario": scenario.name, "policy": NAMES[name], "pace": pace, **oracles[name]})
    for policy in policies:
        result = bench.measure(policy, scenario, pace)
        lines.append(table_row(policy, result, oracles["oracle_ttft"]))
        results.append({"scenario": scenario.name, "policy": policy, "pace": pace, **result})
        say("  " + lines[-1])
    return lines + [""]


def preface(bench):
    speeds = ", ".join(map(str, ENGINE_SPEEDS))
    return f"""# Routing policies on simulated engines

Eight simulated engines as processes of their own (speeds {speeds}; `{' '.join(ENGINE_LIMITS)}`), the real router with one
shard, `infermesh bench` as the client, all on this machine. Times in milliseconds, TTFT from when a request was due.
Goodput: answers within {SLO}. 100 % load is the pace at which the p90 of the oracle's TTFT reaches 2 s. The first
{WARM_UP} s are not counted. Trace: the first rows of the Mooncake conversation trace (FAST'25), prompt and output lengths
times {LENGTH_SCALE}, played at the speed given.

The oracle is a simulation of the same engines without a network, which knows their true state (bench/routing/oracle.cc);
`round_robin, simulated` beside `round_robin` shows how far that simulation is from the processes.
"""


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build/release"), help="folder of the infermesh binary")
    parser.add_argument("--full", action="store_true", help="every policy and scenario")
    parser.add_argument("--policies", help="comma-separated: " + ",".join(POLICIES))
    parser.add_argument("--scenarios", help="comma-separated: " + ",".join(s.name for s in SCENARIOS))
    parser.add_argument("--seconds", type=int, default=40, help="length of a run (default 40)")
    parser.add_argument("--out", help="report file (default BUILD/bench-routing/report.md; JSON beside it)")
    return parser.parse_args()


def chosen(text, known, what):
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise SystemExit(f"there is no {what} \"{name}\"; choose from {', '.join(known)}")
    return names


def main():
    arguments = parse_arguments()
    names = [s.name for s in SCENARIOS]
    policies = POLICIES if arguments.full else FIRST_POLICIES
    wanted = names if arguments.full else FIRST_SCENARIOS
    if arguments.policies:
        policies = chosen(arguments.policies, POLICIES + ["session"], "policy")
    if arguments.scenarios:
        wanted = chosen(arguments.scenarios, names, "scenario")
    bench = Bench(arguments)
    if not bench.binary.exists():
        raise SystemExit(f"{bench.binary} is not built: make build")
    bench.build_oracle()
    started = time.monotonic()
    results, lines = [], [preface(bench)]
    for scenario in SCENARIOS:
        if scenario.name in wanted:
            lines += run_scenario(bench, scenario, policies, results)
    out = pathlib.Path(arguments.out) if arguments.out else bench.logs / "report.md"
    out.write_text("\n".join(lines))
    out.with_suffix(".json").write_text(json.dumps(results, indent=1))
    print("\n".join(lines))
    say(f"done in {time.monotonic() - started:.0f} s: {out}")


if __name__ == "__main__":
    os.environ.pop("INFERMESH_CONFIG", None)
    main()
