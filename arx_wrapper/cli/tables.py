"""Records as tables, and counted while they come."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

from arx_wrapper.cli.output import print_table, say, warn

# What people look for first, in this order.
_FIRST = ("id", "incident_number", "name", "title", "summary", "status", "urgency", "email", "type", "created_at")


def show(operation: str, result: dict[str, Any]) -> None:
    """A call's answer as a table: its records, or one record's members."""
    from arx_wrapper.pagerduty.operations import OPERATIONS

    row = OPERATIONS.get(operation)
    found: Any = result.get(row.envelope) if row and row.envelope else result
    records: list[dict[str, Any]] = [item for item in (found if isinstance(found, list) else [found]) if item]
    if not records:
        say("Done." if not isinstance(found, list) else "Nothing found.")
        return
    if len(records) == 1 and not isinstance(found, list):
        plain = {name: value for name, value in records[0].items() if not isinstance(value, dict | list)}
        print_table(("member", "value"), plain.items())
    else:
        names = _columns(records)
        print_table(names, ([record.get(name) for name in names] for record in records))
    if result.get("more") is True:
        warn("There is more: --all reads every page.")


def _columns(records: list[dict[str, Any]]) -> list[str]:
    names = [name for name in _FIRST if any(record.get(name) is not None for record in records)]
    if "summary" in names and ("title" in names or "name" in names):
        names.remove("summary")  # it says the same
    if "type" in names and len({record.get("type") for record in records}) == 1 and len(records) > 1:
        names.remove("type")
    return names or [name for name in records[0] if not isinstance(records[0][name], dict | list)][:6]


async def counted(title: str, records: AsyncIterator[Any]) -> list[dict[str, Any]]:
    """All records as JSON objects; how many there are so far shows on stderr, when that is a terminal."""
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
