"""Define the options by which commands select records."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from arx_wrapper.cli.times import moment


def parsed(text: str | datetime) -> datetime:
    """Parse an option's time: relative to now, or ISO 8601."""
    try:
        return text if isinstance(text, datetime) else moment(text, datetime.now(UTC))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Agent = Annotated[str | None, typer.Option("--agent", help="Only this agent's.")]
Operation = Annotated[str | None, typer.Option("--operation", help="Only these, e.g. 'incidents:*'.")]
Verdict = Annotated[str | None, typer.Option("--verdict", help="PERMIT, ESCALATE or DENY.")]
Status = Annotated[str | None, typer.Option("--status", help="success, error, unknown, blocked, ...")]
Since = Annotated[
    datetime | None,
    typer.Option("--since", parser=parsed, metavar="TIME", help="From when: 30d, 2h ago, a date (UTC)."),
]
Until = Annotated[
    datetime | None, typer.Option("--until", parser=parsed, metavar="TIME", help="Up to when: 1h ago, a date (UTC).")
]
Target = Annotated[str | None, typer.Option("--target", help="Only of calls that name this id.")]
Reviewer = Annotated[str | None, typer.Option("--reviewer", help="Only this reviewer's decisions.")]
Approval = Annotated[str | None, typer.Option("--approval", help="Only of this request for approval.")]


def aware(moment: datetime | None) -> datetime | None:
    """Return a time that was given without a zone as UTC."""
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def selection(**given: Any) -> dict[str, Any]:
    """Return the arguments of `AuditLog.records()` for options that were given."""
    return {name: aware(value) if isinstance(value, datetime) else value for name, value in given.items()}
