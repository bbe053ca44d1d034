"""Tables and cards that fit the terminal: text wraps between words, columns are left out, records and ids never are."""

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
            console.print(_table(("", ""), list(zip(columns, row, strict=True))))
            console.print()
        return []
    console.print(_table(columns[:shown], [row[:shown] for row in rows]))
    return list(columns[shown:])


def card(members: Sequence[tuple[str, str]]) -> None:
    """Print one record: a line for each member, its name beside it."""
    _console().print(_table(("", ""), members))


def width() -> int:
    """Return the columns of the terminal, or of COLUMNS; a file or a pipe has room for any line."""
    return _console().width


def _console() -> Console:
    from rich.console import Console

    fits = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(file=sys.stdout, width=None if fits else _UNBOUNDED, highlight=False, emoji=False)


def _fitting(columns: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> int:
    """Return how many columns, from the first, fit with every word whole."""
    used = -_GAP
    for index, name in enumerate(columns):
        used += _GAP + max(_least(cell) for cell in (name, *(row[index] for row in rows)))
        if used > room:
            return index
    return len(columns)


def _least(cell: str) -> int:
    from rich.cells import cell_len

    longest = max((cell_len(word) for word in re.split(r"\s", cell)), default=0)
    return max(min(longest, _LONGEST_WORD), min(cell_len(cell), _LEAST_TEXT))


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    headed = any(columns)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold", show_header=headed)
    for index, column in enumerate(columns):
        least = max(map(_least, (column, *(row[index] for row in rows))), default=0)
        table.add_column(column, overflow="fold", min_width=least)
    for row in rows:
        styles = (_STYLES.get(cell, "") for cell in row)
        table.add_row(*(Text(cell, style) for cell, style in zip(row, styles, strict=True)))
    return table
