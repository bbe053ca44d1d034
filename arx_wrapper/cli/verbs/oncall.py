"""`oncall`: show who is on call, now or over a span; with `--week` as a strip."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from arx_wrapper.cli.completion import complete_names
from arx_wrapper.cli.execution import Options, Params, perform
from arx_wrapper.cli.names import ESCALATION_POLICY, SCHEDULE, USER, ids
from arx_wrapper.cli.output import Format, Output, say
from arx_wrapper.cli.response_output import split
from arx_wrapper.cli.session import now_of
from arx_wrapper.cli.times import iso
from arx_wrapper.cli.verbs.options import (
    Every,
    Everything,
    Fields,
    More,
    Since,
    Until,
    UserNames,
    Watch,
    given,
    time,
    with_more,
)

_DAYS = 7
_PER_DAY = 6
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def oncall(
    context: typer.Context,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            "-p",
            help="An escalation policy's name or id.",
            autocompletion=complete_names("escalation_policies"),
        ),
    ] = None,
    schedule: Annotated[
        list[str] | None,
        typer.Option("--schedule", help="A schedule's name or id.", autocompletion=complete_names("schedules")),
    ] = None,
    user: UserNames = None,
    since: Since = None,
    until: Until = None,
    week: Annotated[bool, typer.Option("--week", help="The next seven days, drawn below the table.")] = False,
    everything: Everything = False,
    watch: Watch = False,
    every: Every = 30.0,
    document: More = None,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """Show who is on call now, or from --since to --until."""
    began: list[datetime] = []

    async def prepare(pd: Any) -> list[Params]:
        now = now_of(pd)
        began.append(now)
        params = given(
            escalation_policy_ids=await ids(pd, ESCALATION_POLICY, policy or ()),
            schedule_ids=await ids(pd, SCHEDULE, schedule or ()),
            user_ids=await ids(pd, USER, user or ()),
            since=time(since, now, "--since") or (iso(now) if week else None),
            until=time(until, now, "--until", ahead=True) or (iso(now + timedelta(days=_DAYS)) if week else None),
            limit=100,
        )
        return [with_more(params, document)]

    options = Options(
        output=output,
        fields=split(fields),
        everything=everything,
        watch=every if watch else None,
        after=(lambda body: _strip(body, began[0])) if week else None,
    )
    perform(context.obj, "schedules:read_oncall", prepare, options)


def _strip(body: Mapping[str, Any], begins: datetime) -> None:
    """Draw a line for each policy and level: a letter for each four hours, for the person who is on call."""
    slots = [begins + timedelta(hours=24 / _PER_DAY * index) for index in range(_DAYS * _PER_DAY)]
    people: dict[str, str] = {}
    lines: dict[str, list[str]] = {}
    for entry in body.get("oncalls") or []:
        name = (entry.get("user") or {}).get("summary") or "?"
        letter = people.setdefault(name, _LETTERS[len(people) % len(_LETTERS)])
        line = lines.setdefault(
            f"{(entry.get('escalation_policy') or {}).get('summary')} {entry.get('escalation_level')}",
            ["."] * len(slots),
        )
        start, end = _parsed(entry.get("start")), _parsed(entry.get("end"))
        for index, slot in enumerate(slots):
            if (start is None or start <= slot) and (end is None or slot < end):
                line[index] = letter
    if not lines:
        return
    width = max(map(len, lines))
    say()
    say(" " * (width + 2) + "".join(map(_heading, (begins + timedelta(days=day) for day in range(_DAYS)))))
    for label in sorted(lines):
        say(f"{label.ljust(width)}  {''.join(lines[label])}")
    say("  ".join(f"{letter} {name}" for name, letter in people.items()))


def _heading(day: datetime) -> str:
    return f"{day:%d %a}"[: _PER_DAY - 1].ljust(_PER_DAY)


def _parsed(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
