"""`windows list|open|end`: manage maintenance windows, which silence a service's alerts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from arx_wrapper.cli.approved_times import approved_times
from arx_wrapper.cli.completion import among, complete_names
from arx_wrapper.cli.execution import Options, Params, perform
from arx_wrapper.cli.names import SERVICE, TEAM, expand, ids
from arx_wrapper.cli.output import Format, Output
from arx_wrapper.cli.response_output import split
from arx_wrapper.cli.session import now_of
from arx_wrapper.cli.times import duration, is_relative, iso, moment
from arx_wrapper.cli.verbs.options import (
    Approval,
    DryRun,
    Everything,
    Fields,
    Limit,
    More,
    Query,
    ServiceNames,
    TeamNames,
    given,
    parsed,
    with_more,
)

app = typer.Typer(no_args_is_help=True, help="Maintenance windows: list, open, end.")


@app.command("list")
def list_(
    context: typer.Context,
    query: Query = None,
    when: Annotated[
        str | None,
        typer.Option(
            "--when",
            help="past, future, ongoing, open or all; default open.",
            autocompletion=among("past", "future", "ongoing", "open", "all"),
        ),
    ] = "open",
    service: ServiceNames = None,
    team: TeamNames = None,
    limit: Limit = 25,
    everything: Everything = False,
    document: More = None,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """List windows: ongoing and coming ones by default."""

    async def prepare(pd: Any) -> list[Params]:
        params = given(
            query=query,
            filter=when,
            service_ids=await ids(pd, SERVICE, service or ()),
            team_ids=await ids(pd, TEAM, team or ()),
            limit=limit,
        )
        return [with_more(params, document)]

    options = Options(output=output, fields=split(fields), everything=everything)
    perform(context.obj, "maintenance:read", prepare, options)


@app.command("open")
def open_(
    context: typer.Context,
    services: Annotated[
        list[str],
        typer.Argument(
            metavar="SERVICE...", help="Names or ids; - for stdin.", autocompletion=complete_names("services")
        ),
    ],
    length: Annotated[str, typer.Option("--for", help="How long: 2h, 30m.")],
    start: Annotated[str, typer.Option("--start", help="From when: now, in 10m, or a time.")] = "now",
    description: Annotated[str | None, typer.Option("--description", "-d", help="What it is for.")] = None,
    approval: Approval = None,
    dry_run: DryRun = False,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """Silence services: windows open Checkout --for 2h."""

    async def prepare(pd: Any) -> list[Params]:
        begins = parsed(lambda: moment(start, now_of(pd), ahead=True), "--start")
        if is_relative(start):
            begins = (await approved_times(pd, approval)).meant("start_time", begins)
        params = given(
            start_time=iso(begins),
            end_time=iso(begins + parsed(lambda: duration(length), "--for")),
            service_ids=await ids(pd, SERVICE, expand(services)),
            description=description,
        )
        return [params]

    options = Options(output=output, fields=split(fields), dry_run=dry_run, approval=approval)
    perform(context.obj, "maintenance:create", prepare, options)


@app.command()
def end(
    context: typer.Context,
    windows: Annotated[
        list[str],
        typer.Argument(metavar="ID...", help="Ids; - for stdin.", autocompletion=complete_names("maintenance_windows")),
    ],
    approval: Approval = None,
    dry_run: DryRun = False,
    output: Format = Output.TABLE,
) -> None:
    """End windows now; one that has not begun is removed."""

    async def prepare(_: Any) -> list[Params]:
        return [{"window_id": item} for item in expand(windows)]

    perform(context.obj, "maintenance:delete", prepare, Options(output=output, dry_run=dry_run, approval=approval))
