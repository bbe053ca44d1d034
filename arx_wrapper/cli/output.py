"""What is printed: JSON and nothing else on stdout, or tables; text from elsewhere made safe for a terminal."""

from __future__ import annotations

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


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table that fits the terminal, without colours where they are not wanted."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(safe(cell)) for cell in row))
    # A file or a pipe has no width to fit.
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 1_000).print(table)


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
