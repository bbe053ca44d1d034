"""Print results: a table on a terminal, JSON elsewhere, or what `-o` names. Text is made safe for a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer

from arx_wrapper.cli.grid import grid


class Output(StrEnum):
    """The form in which results are printed."""

    TABLE = "table"
    JSON = "json"
    TSV = "tsv"


_NAMED = 4

_chosen: ContextVar[Output] = ContextVar("_chosen", default=Output.TABLE)


def _choose(context: typer.Context, parameter: typer.CallbackParam, given: Output) -> Output:
    """Return the format that was asked for, or the one that fits where the output goes."""
    source = context.get_parameter_source(parameter.name or "")
    default = source is not None and source.name in ("DEFAULT", "DEFAULT_MAP")
    output = (Output.TABLE if sys.stdout.isatty() else Output.JSON) if default else given
    _chosen.set(output)
    return output


def _keep(given: Output) -> Output:
    """Use the format as given: the command's result is one text, which people redirect into a file."""
    _chosen.set(given)
    return given


TextFormat = Annotated[
    Output, typer.Option("--output", "-o", callback=_keep, help="table for the text alone, json, or tsv.")
]
# The default in a command's signature only gives the parameter its type: `_choose` decides.
Format = Annotated[
    Output,
    typer.Option(
        "--output",
        "-o",
        callback=_choose,
        show_default=False,
        help="table, json or tsv. Default: a table on a terminal, else JSON.",
    ),
]


def print_json(value: Any) -> None:
    """Print one JSON document, flushed: indented on a terminal, on one line elsewhere."""
    encoded = msgspec.json.encode(value, order="sorted")
    if sys.stdout.isatty():
        encoded = msgspec.json.format(encoded, indent=2)
    text = encoded.decode()
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # a terminal that lacks a character: JSON has escapes of its own
        text = json.dumps(json.loads(text), indent=2, sort_keys=True)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows below their columns, most important column first; as TSV where that was asked for.

    On a terminal a table fits its width: text wraps between words, then the last columns are left out, and stderr names
    them. Records are never left out, and no cell is cut. A file or a pipe has no width to fit.
    """
    cells = [[safe(cell) for cell in row] for row in rows]
    if _chosen.get() is Output.TSV:
        for line in (columns, *cells):
            sys.stdout.write("\t".join(_field(cell) for cell in line) + "\n")
        sys.stdout.flush()
        return
    left_out = grid(columns, cells)
    if left_out:
        more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
        warn(f"Not shown: {', '.join(left_out[:_NAMED])}{more}; -o json has all.")


def _field(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def say(text: str = "") -> None:
    """Print a line of a result for people; beside the result where TSV was asked for."""
    stream = sys.stderr if _chosen.get() is Output.TSV else sys.stdout
    stream.write(safe(text) + "\n")
    stream.flush()


def warn(text: str) -> None:
    """Print a line beside the result, on stderr; one that cannot be written does not end the command."""
    with suppress(OSError):  # a full disk or a closed pipe: nobody can read it, and the exit status still tells
        sys.stderr.write(safe(text) + "\n")
        sys.stderr.flush()


def safe(value: object) -> str:
    """Return text in which control and direction characters, which a terminal would act on, are escapes."""
    text = "" if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode() for c in text)
