"""Waiting for conditions. Nothing in these tests sleeps for a guessed time."""

from __future__ import annotations

import os
import time
from typing import Callable, TypeVar

T = TypeVar("T")

# Sanitizers make everything slower: limits that a test promises are stretched by this.
SLOW = 8.0 if any(word in os.environ.get("INFERMESH_BIN", "") for word in ("asan", "tsan")) else 1.0
# And they keep freed memory: growth means something in other builds only.
MEMORY_TELLS = SLOW == 1.0
DEADLINE = 10.0 * max(1.0, SLOW / 2)
POLL = 0.005


def eventually(condition: Callable[[], T], what: str, within: float = DEADLINE) -> T:
    """The first true value of `condition`; fails with `what` and the last value when none comes."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what}; last value: {value!r}")
        time.sleep(POLL)


def stays(condition: Callable[[], object], what: str, during: float) -> None:
    """Fails when `condition` is false at any moment of `during` seconds."""
    deadline = time.monotonic() + during
    while time.monotonic() < deadline:
        assert condition(), what
        time.sleep(POLL)
