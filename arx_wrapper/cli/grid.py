"""Print tables and cards that fit the terminal: a narrow one drops columns, never records or ids."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_STYLES = {
    "PERMIT": "green",
    "ESCALATE": "yellow",
    "DENY": "red",
    "HIGH": "red",
    "MEDIUM": "yellow",
    "triggered": "red",
    "acknowledged": "yellow",
    "resolved": "green",
    "high": "red",
    "low": "cyan",
    "critical": "red",
    "error": "red",
    "active": "green",
    "success": "green",
    "blocked": "red",
    "escalated": "yellow",
    "unknown": "magenta",
    "ok": "green",
    "warning": "yellow",
    "wrong": "red",
}
_GAP = 2
_UNBOUNDED = 1_000
# A column of text is at least this wide, or as wide as its longest word: narrower ones are hard to read.
_LEAST_TEXT = 16
# Longer runs without a space (addresses, JSON) may be broken: a table of whole ones would show nothing else.
_LONGEST_WORD = 40


def grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Print a table, coloured on a terminal unless NO_COLOR is set, and return the columns that did not fit."""
    console = _console()
    shown = _fitting(columns, rows, console.width)
    if shown < min(2, len(columns)):  # not even two columns: each record becomes a block of lines
        for row in rows:
            card(list(zip(columns, row, strict=True)))
            console.print()
        return []
    console.print(_table(columns[:shown], [row[:shown] for row in rows], console.width))
    return list(columns[shown:])


def width() -> int:
    """Return the columns of the terminal; a file or a pipe has no width to fit, and counts as very wide."""
    return _console().width


def card(members: Sequence[tuple[str, str]]) -> None:
    """Print one record: a line for each member, its name beside it; above it where the terminal is too narrow."""
    console = _console()
    names = max((len(name) for name, _ in members), default=0)
    if names + 2 * _GAP + max((_least(cell) for _, cell in members), default=0) <= console.width:
        console.print(_table(("", ""), members, console.width))
        return
    from rich.padding import Padding
    from rich.text import Text

    for name, cell in members:
        console.print(Text(name, "bold"))
        console.print(Padding(Text(cell, _STYLES.get(cell, ""), overflow="fold"), (0, 0, 0, _GAP)))


def _console() -> Console:
    from rich.console import Console

    fits = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(file=sys.stdout, width=None if fits else _UNBOUNDED, highlight=False, emoji=False)


def _fitting(columns: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> int:
    """Return how many columns, from the first, fit with every word whole."""
    used = 0
    for index, name in enumerate(columns):
        used += _GAP + max(_least(cell) for cell in (name, *(row[index] for row in rows)))
        if used > room:
            return index
    return len(columns)


def _least(cell: str) -> int:
    from rich.cells import cell_len

    longest = max((cell_len(word) for word in re.split(r"\s", cell)), default=0)
    return max(min(longest, _LONGEST_WORD), min(cell_len(cell), _LEAST_TEXT))


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return the width of each column: its longest word at least, and what is left to those that need it."""
    from rich.cells import cell_len

    cells = [[name, *(row[index] for row in rows)] for index, name in enumerate(columns)]
    widths = [max(map(_least, texts)) for texts in cells]
    needs = [max(map(cell_len, texts)) - width for texts, width in zip(cells, widths, strict=True)]
    left = room - sum(width + _GAP for width in widths)
    by_need = sorted(range(len(columns)), key=needs.__getitem__)
    for position, index in enumerate(by_need):
        extra = max(0, min(needs[index], left // (len(by_need) - position)))
        widths[index] += extra
        left -= extra
    return widths


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold", show_header=any(columns))
    for column, width in zip(columns, _widths(columns, rows, room), strict=True):
        table.add_column(column, overflow="fold", width=width)
    for row in rows:
        styles = (_STYLES.get(cell, "") for cell in row)
        table.add_row(*(Text(cell, style) for cell, style in zip(row, styles, strict=True)))
    return table
