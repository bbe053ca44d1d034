"""Define the arguments and options that verbs share, and turn them into an operation's parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

import typer

from arx_wrapper.cli.arguments import read_document
from arx_wrapper.cli.completion import among, complete_incidents, complete_names
from arx_wrapper.cli.times import duration, iso, moment

_T = TypeVar("_T")

IncidentIds = Annotated[
    list[str],
    typer.Argument(metavar="ID...", help="Ids or numbers; - for those on stdin.", autocompletion=complete_incidents),
]
IncidentId = Annotated[
    str, typer.Argument(metavar="ID", help="An incident's id or number.", autocompletion=complete_incidents)
]
ServiceNames = Annotated[
    list[str] | None,
    typer.Option("--service", help="A service's name or id.", autocompletion=complete_names("services")),
]
TeamNames = Annotated[
    list[str] | None, typer.Option("--team", help="A team's name or id.", autocompletion=complete_names("teams"))
]
UserNames = Annotated[
    list[str] | None,
    typer.Option("--user", help="A user's name, email or id, or me.", autocompletion=complete_names("users")),
]
Since = Annotated[str | None, typer.Option("--since", help="From when: 30d, 2h ago, or a date.")]
Until = Annotated[str | None, typer.Option("--until", help="Until when: now, in 2h, or a date.")]
Urgency = Annotated[
    str | None, typer.Option("--urgency", "-u", help="high or low.", autocompletion=among("high", "low"))
]
Urgencies = Annotated[
    list[str] | None, typer.Option("--urgency", "-u", help="high or low.", autocompletion=among("high", "low"))
]
Query = Annotated[str | None, typer.Argument(metavar="[TEXT]", help="Search for this text.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="How many records.")]
Everything = Annotated[bool, typer.Option("--all", help="Read every page.")]
Watch = Annotated[bool, typer.Option("--watch", help="Repeat until Ctrl-C; each time is a call on record.")]
Every = Annotated[float, typer.Option("--every", min=0.5, help="With --watch: seconds in between.")]
Web = Annotated[bool, typer.Option("--web", "-w", help="Open its page in the browser.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the decision and request; send nothing.")]
Approval = Annotated[str | None, typer.Option("--approval", help="Use an approval that was given.")]
Fields = Annotated[str | None, typer.Option("--fields", help="Show these only: id,status,service.id")]
More = Annotated[str | None, typer.Option("--json", help="More parameters: {...}, @FILE or -.")]


def given(**params: Any) -> dict[str, Any]:
    """Return the parameters that were given."""
    return {name: value for name, value in params.items() if value is not None and value != []}


def with_more(params: Mapping[str, Any], document: str | None) -> dict[str, Any]:
    """Return parameters on top of those of `--json`."""
    return {**(read_document(document) if document else {}), **params}


def listed(texts: Sequence[str] | None) -> list[str]:
    """Return the values of an option that may be repeated, or hold several with commas between them."""
    return [part.strip() for text in texts or () for part in text.split(",") if part.strip()]


def time(text: str | None, now: datetime, option: str, *, ahead: bool = False) -> str | None:
    """Return a time as PagerDuty takes it; None for none."""
    return None if text is None else iso(parsed(lambda: moment(text, now, ahead=ahead), option))


def seconds(text: str, option: str) -> int:
    """Return a duration's seconds."""
    return int(parsed(lambda: duration(text), option).total_seconds())


def parsed(read: Callable[[], _T], option: str) -> _T:
    """Return what an option's text says, or a usage error that names the option."""
    try:
        return read()
    except ValueError as error:
        raise typer.BadParameter(f"{option}: {error}") from None
