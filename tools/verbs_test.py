#!/usr/bin/python3
"""Tests of the Makefile's verbs, the presets and tools/setup.sh: what runs, in which order, and that nothing asks."""
import json
import os
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent


# What a make above this test passes on is not the subject here.
OF_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "PRESET", "BINARY", "BUILT", "ARGS", "SECONDS", "JOBS", "V")
PLAIN = {name: value for name, value in os.environ.items() if name not in OF_MAKE}


def dry_run(verb, *words):
    """What make would run, tools and order; nothing is run."""
    done = subprocess.run(["make", "-n", verb, *words], cwd=ROOT, env=PLAIN, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=True)
    return done.stdout


def setup(*groups):
    return subprocess.run([ROOT / "tools/setup.sh", *groups], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)


class Verbs(unittest.TestCase):
    def in_order(self, text, *parts):
        at = 0
        for part in parts:
            found = text.find(part, at)
            self.assertGreaterEqual(found, 0, f"{part} is not there, or too early:\n{text}")
            at = found + len(part)

    def test_demo_installs_builds_and_shows(self):
        self.in_order(dry_run("demo"), "setup.sh build venv", "step.sh build release infermesh", "tools/demo")

    def test_test_installs_builds_checks_and_runs_both_suites(self):
        self.in_order(dry_run("test"), "setup.sh build develop venv", "step.sh build dev", "tools/check.py", "ctest",
                      "-m pytest test/e2e")

    def test_the_sanitizers_run_the_whole_suite(self):
        for preset in ("asan", "tsan"):
            self.in_order(dry_run(f"test-{preset}"), f"step.sh build {preset}", f"ctest --test-dir build/{preset}",
                          f"INFERMESH_BIN={ROOT}/build/{preset}/infermesh", "-m pytest test/e2e")

    def test_a_step_that_fails_fails_the_verb(self):
        for mode in ("quiet", "show"):
            for code in (0, 3):
                step = [ROOT / "tools/step.sh", mode, "a step of this test", "bash", "-c", f"exit {code}"]
                done = subprocess.run(step, cwd=ROOT, env=PLAIN, capture_output=True, check=False)
                self.assertEqual(done.returncode, code, mode)

    def test_the_gate_is_what_people_run(self):
        self.assertIn("exec make test", (ROOT / ".ci/run").read_text())

    def test_every_other_verb_is_there(self):
        for verb in ("build", "check", "fmt", "gen", "fuzz", "bench", "bench-routing", "soak", "overload", "docs"):
            self.assertTrue(dry_run(verb).strip(), verb)
        self.assertIn("step.sh build release infermesh", dry_run("build"))
        self.assertIn("tools/fuzz.sh 60", dry_run("fuzz"))
        self.assertIn("tools/fuzz.sh 5", dry_run("fuzz", "SECONDS=5"))

    def test_help_lists_every_verb(self):
        makefile = (ROOT / "Makefile").read_text()
        listed = subprocess.run(["make", "help"], cwd=ROOT, env=PLAIN, capture_output=True, text=True, check=True).stdout
        for verb in re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split():
            self.assertRegex(listed, rf"(?m)^ *(?:make )?{re.escape(verb)} ")

    def test_the_presets_are_the_five(self):
        presets = json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]
        shown = {preset["name"] for preset in presets if not preset.get("hidden")}
        self.assertLessEqual({"dev", "release", "asan", "tsan", "fuzz"}, shown)


class Setup(unittest.TestCase):
    def test_nothing_missing_is_nothing_said(self):
        done = setup("build", "develop")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_a_wrong_group_is_refused_with_the_right_ones(self):
        done = setup("biuld")
        self.assertEqual(done.returncode, 2)
        self.assertIn("groups: build, develop", done.stderr)
        self.assertEqual(setup().returncode, 2)

    def test_apt_never_asks(self):
        text = (ROOT / "tools/setup.sh").read_text()
        for call in re.findall(r"^.*\bapt-get \"\$.*(?:\\\n.*)*$", text, re.MULTILINE):
            self.assertIn("</dev/null", call)
        self.assertIn("DEBIAN_FRONTEND=noninteractive", text)
        self.assertIn("install -y --no-install-recommends", text)


if __name__ == "__main__":
    unittest.main()
