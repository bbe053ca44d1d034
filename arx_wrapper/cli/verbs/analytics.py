"""`analytics`: count incidents and measure responses, with bars."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from arx_wrapper.cli.bars import draw
from arx_wrapper.cli.execution import Options, Params, perform
from arx_wrapper.cli.names import SERVICE, TEAM, ids
from arx_wrapper.cli.output import Format, Output
from arx_wrapper.cli.response_output import split
from arx_wrapper.cli.session import now_of
from arx_wrapper.cli.verbs.options import (
    DryRun,
    Fields,
    More,
    ServiceNames,
    TeamNames,
    Until,
    Urgency,
    given,
    time,
    with_more,
)


class By(StrEnum):
    """The unit that a line of the result stands for."""

    ALL = "all"
    SERVICE = "service"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


def analytics(
    context: typer.Context,
    by: Annotated[By, typer.Option("--by", help="A line for each service, day, week or month.")] = By.SERVICE,
    since: Annotated[str, typer.Option("--since", help="From when: 30d, or a date.")] = "30d",
    until: Until = None,
    urgency: Urgency = None,
    service: ServiceNames = None,
    team: TeamNames = None,
    dry_run: DryRun = False,
    document: More = None,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """Count incidents, and the seconds to acknowledge and resolve."""
    unit = by.value if by in (By.DAY, By.WEEK, By.MONTH) else None

    async def prepare(pd: Any) -> list[Params]:
        now = now_of(pd)
        params = given(
            since=time(since, now, "--since"),
            until=time(until or "now", now, "--until"),
            urgency=urgency,
            service_ids=await ids(pd, SERVICE, service or ()),
            team_ids=await ids(pd, TEAM, team or ()),
            aggregate_unit=unit,
        )
        return [with_more(params, document)]

    operation = "analytics:services" if by is By.SERVICE else "analytics:read"
    options = Options(output=output, fields=split(fields), dry_run=dry_run, after=_bars)
    perform(context.obj, operation, prepare, options)


def _bars(body: Mapping[str, Any]) -> None:
    """Draw the number of incidents of each line."""
    lines = [line for line in body.get("data") or () if isinstance(line, Mapping)]
    draw([(str(line.get("service_name") or line.get("range_start") or "all"), _count(line)) for line in lines])


def _count(line: Mapping[str, Any]) -> int:
    return int(line.get("total_incident_count") or 0)
