"""From samples to one Markdown table."""
from __future__ import annotations

import statistics

from peers import INFERMESH, Peer
from rows import DIRECT, ROWS, Figures, Row

BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
NOTHING = "-"


def value(figures: Figures, row: Row, peer: str) -> float | None:
    """The median of a peer's samples; of what is added to the direct way, where the row is about that."""
    samples = figures.samples.get(row.key, {}).get(peer)
    if not samples:
        return None
    found = statistics.median(samples)
    if not row.added:
        return found
    direct = figures.samples.get(row.key, {}).get(DIRECT)
    return found - statistics.median(direct) if direct else None


def number(found: float | None, digits: int) -> str:
    return NOTHING if found is None else f"{found:,.{digits}f}"


def ratio(found: float | None, base: float | None) -> str:
    return NOTHING if not found or not base or base < 0 else f"{found / base:.2f}"


def best_llm(figures: Figures, row: Row, peers: list[Peer]) -> float | None:
    found = [value(figures, row, peer.name) for peer in peers if peer.llm]
    return min((one for one in found if one is not None), default=None)


def met(found: float | None, limit: float | None) -> str:
    if found is None or limit is None:
        return NOTHING
    return "yes" if found <= limit else "**no**"


def cells(figures: Figures, row: Row, peers: list[Peer]) -> list[str]:
    ours, nginx = value(figures, row, INFERMESH), value(figures, row, "nginx")
    llm = best_llm(figures, row, peers)
    ratios = [ratio(ours, nginx), ratio(ours, llm)]
    others = [number(value(figures, row, peer.name), row.digits) for peer in peers if peer.name != INFERMESH]
    return [row.title, row.goal.text() or NOTHING, f"**{number(ours, row.digits)}**" if ours is not None else NOTHING,
            met(ours, row.goal.limit(nginx)), *ratios, *others]


def markdown(head: list[str], lines: list[list[str]]) -> str:
    """A table whose columns are also straight in a terminal; all but the first are set right."""
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]

    def text(line: list[str]) -> str:
        padded = [cell.ljust(widths[0]) if i == 0 else cell.rjust(widths[i]) for i, cell in enumerate(line)]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([text(head), "| " + " | ".join(rule) + " |", *map(text, lines)])


def table(figures: Figures, peers: list[Peer]) -> str:
    head = ["figure", "goal", INFERMESH, "met", "x nginx", "x best LLM router",
            *(peer.name for peer in peers if peer.name != INFERMESH)]
    rows = [row for row in ROWS if figures.samples.get(row.key)]
    return markdown(head, [cells(figures, row, peers) for row in rows])


def screen_table(figures: Figures, peers: list[Peer], colour: bool) -> str:
    """The same, narrow enough for a terminal: of the LLM routers the best one in each row."""
    llms = [peer for peer in peers if peer.llm]
    plain = [peer.name for peer in peers if not peer.llm and peer.name != INFERMESH]
    lines = [["", "goal", INFERMESH, "", *plain, *(["best LLM router"] if llms else [])]]
    for row in (row for row in ROWS if figures.samples.get(row.key)):
        ours, limit = value(figures, row, INFERMESH), row.goal.limit(value(figures, row, "nginx"))
        line = [row.title, row.goal.text(), number(ours, row.digits), {"yes": "met", "**no**": "missed"}.get(met(ours, limit), "")]
        line += [number(value(figures, row, name), row.digits) for name in plain]
        found = [(one, peer.name) for peer in llms if (one := value(figures, row, peer.name)) is not None]
        if llms:
            line.append(f"{number(min(found)[0], row.digits)} {min(found)[1]}" if found else "")
        lines.append(line)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    paint = {"met": "\033[32m", "missed": "\033[31m"} if colour else {}

    def text(line: list[str]) -> str:
        cells = [cell.ljust(width) if i in (0, 1, 3) else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths))]
        cells[3] = f"{paint[line[3]]}{cells[3]}\033[0m" if line[3] in paint else cells[3]
        return ("   " + "  ".join(cells)).rstrip()

    return "\n".join(map(text, lines))


def replace_between(text: str, block: str) -> str:
    """`text` with what stands between the marks replaced."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n{block.strip()}\n{END}{after}"
