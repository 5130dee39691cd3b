"""Short runs of the soak and of the overload: what they hold the router to, and that they hold it to something."""

import importlib.util
import pathlib
import sys

import pytest
from harness.process import ROOT, find_binary
from harness.wait import MEMORY_TELLS


def load(name):
    """bench/NAME/run.py as a module of its own name."""
    spec = importlib.util.spec_from_file_location(
        f"bench_{name}", ROOT / "bench" / name / "run.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def soak():
    return load("soak")


@pytest.fixture(scope="module")
def overload():
    return load("overload")


def test_nothing_leaks_or_hangs_while_engines_are_killed_and_clients_vanish(soak):
    growth = 8.0 if MEMORY_TELLS else 1e6
    options = soak.Options(
        minutes=0.1, seed=8, binary=find_binary(), fault_every=0.5, growth_mib=growth
    )
    verdict = soak.soak(options)
    assert verdict.holds, verdict.text(colour=False)
    assert "kill" in verdict.of("faults").found


def test_under_overload_the_important_are_served_and_the_rest_are_told(overload):
    options = overload.Options(
        minutes=0.05, peak_seconds=1.5, calm_seconds=1, binary=find_binary()
    )
    verdict, _ = overload.overload(options)
    counts_and_order = [
        "served: high >= normal > low",
        "low: shed",
        "neither served nor refused with a reason",
        "client connections, at the end",
        "requests in flight, at the end",
        "requests queued, at the end",
        "the router's end",
    ]
    for what in counts_and_order:
        assert verdict.of(what).holds, verdict.text(colour=False)
