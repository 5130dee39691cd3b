"""What people see: sections, details, colour only on a terminal that wants it."""

from __future__ import annotations

import os
import sys
import threading


class Screen:
    def __init__(self) -> None:
        wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
        self.terminal = sys.stdout.isatty()
        self.colour = self.terminal and wanted
        self.lock = threading.Lock()

    def paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def section(self, number: int, name: str, text: str) -> None:
        heading = self.paint("1", f"{number}/5") + "  " + self.paint("1", f"{name:<10}")
        self.line(f"{heading} {text}".rstrip())

    def working(self, number: int, name: str, text: str) -> None:
        """A line that the section's own line replaces; on a terminal only."""
        if self.colour:
            print(f"{number}/5  {name:<10} {text} ...", end="", flush=True)

    def line(self, text: str = "") -> None:
        with self.lock:
            print(("\r\x1b[K" if self.colour else "") + text, flush=True)

    def detail(self, text: str) -> None:
        self.line("     " + text)


SCREEN = Screen()


def milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"
