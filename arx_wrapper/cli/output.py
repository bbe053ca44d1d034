"""What is printed: JSON and nothing else on stdout, or tables; text from elsewhere made safe for a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

if TYPE_CHECKING:
    from rich.table import Table


class Output(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


Format = Annotated[Output, typer.Option("--output", "-o", help="json or table.")]


def print_json(value: Any) -> None:
    """One JSON document on one line, flushed."""
    sys.stdout.write(msgspec.json.encode(value, order="sorted").decode() + "\n")
    sys.stdout.flush()


_STYLES = {
    "PERMIT": "green",
    "ESCALATE": "yellow",
    "DENY": "red",
    "HIGH": "red",
    "MEDIUM": "yellow",
    "triggered": "red",
    "acknowledged": "yellow",
    "resolved": "green",
    "ok": "green",
    "warning": "yellow",
    "wrong": "red",
}


# Columns whose cells are of no use in pieces.
_WHOLE = frozenset(
    {"id", "seq", "operation", "method", "risk", "verdict", "status", "state", "urgency", "incident_number", "check"}
)
_LEAST = 12


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table that fits the terminal; coloured on one, unless NO_COLOR is set.

    On a terminal that is too narrow for its columns, each row becomes a block of lines. Nothing is ever cut.
    """
    from rich.console import Console

    # A file or a pipe has no width to fit, unless it is given one.
    fits = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(file=sys.stdout, width=None if fits else 1_000)
    cells = [[safe(cell) for cell in row] for row in rows]
    widths = [max(map(len, (name, *texts))) for name, *texts in zip(columns, *cells, strict=True)]
    least = [width if name in _WHOLE else min(width, _LEAST) for name, width in zip(columns, widths, strict=True)]
    if sum(least) + 2 * len(columns) <= console.width:
        console.print(_grid(columns, cells))
        return
    for row in cells:
        console.print(_grid(("", ""), zip(columns, row, strict=True)))


def _grid(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in _WHOLE)
    for row in rows:
        table.add_row(*(Text(cell, _STYLES.get(cell, "")) for cell in row))
    if not any(columns):
        table.add_row()
    return table


def say(text: str = "") -> None:
    """A line of a result, for people."""
    sys.stdout.write(safe(text) + "\n")
    sys.stdout.flush()


def warn(text: str) -> None:
    """A line beside the result."""
    sys.stderr.write(safe(text) + "\n")
    sys.stderr.flush()


def safe(value: object) -> str:
    """Text without what a terminal would act on: control and direction characters are shown as escapes."""
    text = "" if value is None else str(value)
    return "".join(c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode() for c in text)
