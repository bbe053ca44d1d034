"""Print a response: a table of its records, a card of a single one, or TSV; and count records while they come."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import typer

from arx_wrapper.cli.grid import card
from arx_wrapper.cli.output import Output, print_json, print_table, safe, say, warn
from arx_wrapper.core.column_selection import name, pick, project, records_of, unknown
from arx_wrapper.model import Operation

Columns = Annotated[
    str | None,
    typer.Option("--columns", help="Show these members only: id,status,service.id"),
]


def split(fields: str | None) -> list[str]:
    """Return the members that the option names."""
    return [path.strip() for path in (fields or "").split(",") if path.strip()]


def show(
    operation: Operation, body: Mapping[str, Any], output: Output, fields: Sequence[str] = (), *, complete: bool = False
) -> None:
    """Print a response in the form that was asked for.

    Args:
        operation: The row whose response it is.
        body: The response's JSON.
        output: The form.
        fields: Dotted paths to show instead of the row's columns; in JSON as well.
        complete: Whether every page was read.
    """
    records, is_list = records_of(operation, body)
    picked = chosen(operation, records, fields)
    if output is Output.JSON:
        print_json(body if not fields else picked if is_list else (picked or [{}])[0])
        return
    if not records:
        say("Nothing found." if is_list else "Done.")
    elif is_list or output is Output.TSV:
        rows(picked, keep=bool(fields) or output is Output.TSV)
    else:
        card([(name, safe(text(item))) for name, item in picked[0].items() if _is_given(item)])
    if body.get("more") is True and not complete:
        warn("There is more: --all reads every page.")


def rows(records: Sequence[Mapping[str, Any]], *, keep: bool = False) -> None:
    """Print records that have the same members as a table, without the columns that are empty in each of them."""
    names = [name for name in records[0] if keep or any(_is_given(record[name]) for record in records)]
    print_table(names, ([text(record[name]) for name in names] for record in records))


def text(item: Any) -> str:
    """Return a value as one cell: a list joined with commas, an object as JSON, nothing for null."""
    if item is None:
        return ""
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, list) and not any(isinstance(part, list | dict) for part in item):
        return ", ".join(text(part) for part in item)
    if isinstance(item, list | dict):
        return msgspec.json.encode(item).decode()
    return str(item)


def chosen(operation: Operation, records: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> list[dict[str, Any]]:
    """Return the fields of each record, by default the row's columns, and name on stderr the fields that none has."""
    if not fields:
        return [project(operation, record) for record in records]
    if missing := unknown(operation, records, fields):
        there = sorted({member for record in records for member in record} | set(map(name, operation.columns)))
        warn(f"No record has {', '.join(missing)}. There are: {', '.join(there)}.")
    return [pick(operation, record, fields) for record in records]


def _is_given(item: Any) -> bool:
    return item is not None and item != [] and item != ""


async def counted(title: str, records: AsyncIterator[Any]) -> list[dict[str, Any]]:
    """Return all records as JSON objects; on a terminal stderr shows how many have come so far."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} records"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    found = []
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(title, total=None)
        async for record in records:
            found.append(record.to_dict())
            progress.advance(task)
    return found
