"""Figures with their bounds, as a table for people, and whether all of them hold."""
from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    what: str
    found: str
    bound: str
    holds: bool | None  # None: told, not judged


class Verdict:
    def __init__(self):
        self.lines: list[Line] = []
        self.details: list[str] = []

    def tell(self, what: str, found: object) -> None:
        self.lines.append(Line(what, str(found), "", None))

    def judge(self, what: str, found: object, bound: str, holds: bool) -> None:
        self.lines.append(Line(what, str(found), bound, holds))

    def at_most(self, what: str, found: float, limit: float, unit: str = "") -> None:
        self.judge(what, f"{found:,.6g}{unit}", f"at most {limit:,.6g}{unit}" if limit else "none", found <= limit)

    def at_least(self, what: str, found: float, limit: float, unit: str = "") -> None:
        self.judge(what, f"{found:,.6g}{unit}", f"at least {limit:,.6g}{unit}", found >= limit)

    def detail(self, text: str) -> None:
        if len(self.details) < 20:
            self.details.append(text)

    @property
    def holds(self) -> bool:
        return all(line.holds is not False for line in self.lines)

    def of(self, what: str) -> Line:
        return next(line for line in self.lines if line.what == what)

    def text(self, colour: bool | None = None) -> str:
        if colour is None:
            colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        widths = [max((len(getattr(line, name)) for line in self.lines), default=0) for name in ("what", "found", "bound")]
        words = {True: ("ok", "\033[32m"), False: ("FAILED", "\033[31m"), None: ("", "")}
        rows = []
        for line in self.lines:
            word, paint = words[line.holds]
            shown = f"{paint}{word}\033[0m" if colour and paint else word
            rows.append(f"  {line.what:{widths[0]}}  {line.found:>{widths[1]}}  {line.bound:{widths[2]}}  {shown}".rstrip())
        rows += [f"  - {detail}" for detail in self.details]
        failed = sum(line.holds is False for line in self.lines)
        return "\n".join([*rows, "", f"  {'everything holds' if not failed else f'{failed} of the checks failed'}"])


def slope(samples: list[tuple[float, float]]) -> float:
    """Of the least-squares line through (time, value): growth a second."""
    if len(samples) < 2:
        return 0.0
    mean_t = sum(t for t, _ in samples) / len(samples)
    mean_v = sum(v for _, v in samples) / len(samples)
    spread = sum((t - mean_t) ** 2 for t, _ in samples)
    return sum((t - mean_t) * (v - mean_v) for t, v in samples) / spread if spread else 0.0


def percentile(values: list[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else 0.0


class Screen:
    """One line that is redrawn on a terminal; elsewhere a line now and then."""

    def __init__(self):
        self.live = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def now(self, text: str) -> None:
        if self.live:
            print(f"\r\033[K   {text}", end="", file=sys.stderr, flush=True)

    def line(self, text: str) -> None:
        print(("\r\033[K" if self.live else "") + f"   {text}", file=sys.stderr, flush=True)
