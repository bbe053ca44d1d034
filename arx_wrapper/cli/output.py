"""What is printed: JSON and nothing else on stdout, or tables; text from elsewhere made safe for a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer


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


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table that fits the terminal; coloured on one, unless NO_COLOR is set."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        # An id is of no use in two pieces; whatever else does not fit is broken, never cut.
        table.add_column(column, overflow="fold", no_wrap=column in ("id", "seq"))
    for row in rows:
        table.add_row(*(Text(safe(cell), _STYLES.get(str(cell), "")) for cell in row))
    # A file or a pipe has no width to fit, unless it is given one.
    fits = sys.stdout.isatty() or "COLUMNS" in os.environ
    Console(file=sys.stdout, width=None if fits else 1_000).print(table)


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
