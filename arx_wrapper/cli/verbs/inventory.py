"""`services|schedules|users|teams list|show`: list an account's objects, or show one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from arx_wrapper.cli.completion import complete_names
from arx_wrapper.cli.execution import Options, Params, perform
from arx_wrapper.cli.names import SCHEDULE, SERVICE, TEAM, USER, Kind, expand, ids
from arx_wrapper.cli.output import Format, Output
from arx_wrapper.cli.response_output import split
from arx_wrapper.cli.session import now_of
from arx_wrapper.cli.verbs.options import (
    Everything,
    Fields,
    Limit,
    More,
    Query,
    Since,
    TeamNames,
    Until,
    Web,
    given,
    time,
    with_more,
)

services = typer.Typer(no_args_is_help=True, help="Services: list, show.")
schedules = typer.Typer(no_args_is_help=True, help="On-call schedules: list, show.")
users = typer.Typer(no_args_is_help=True, help="Users: list, show.")
teams = typer.Typer(no_args_is_help=True, help="Teams: list, show.")


def _named(kind: str) -> Any:
    return typer.Argument(metavar="NAME...", help="Names or ids; - for stdin.", autocompletion=complete_names(kind))


@services.command("list")
def list_services(
    context: typer.Context,
    query: Query = None,
    team: TeamNames = None,
    limit: Limit = 25,
    everything: Everything = False,
    document: More = None,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """List services by name."""
    _list(context, SERVICE, query, team, limit, document, _options(output, fields, everything=everything))


@services.command("show")
def show_services(
    context: typer.Context,
    services: Annotated[list[str], _named("services")],
    web: Web = False,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """Show services in full."""
    _show(context, SERVICE, "service_id", services, _options(output, fields, web=web))


@schedules.command("list")
def list_schedules(
    context: typer.Context,
    query: Query = None,
    team: TeamNames = None,
    limit: Limit = 25,
    everything: Everything = False,
    document: More = None,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """List on-call schedules."""
    _list(context, SCHEDULE, query, team, limit, document, _options(output, fields, everything=everything))


@schedules.command("show")
def show_schedules(
    context: typer.Context,
    schedules: Annotated[list[str], _named("schedules")],
    since: Since = None,
    until: Until = None,
    web: Web = False,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """Show schedules, and who is on call from --since to --until."""

    async def prepare(pd: Any) -> list[Params]:
        now = now_of(pd)
        span = given(since=time(since, now, "--since"), until=time(until, now, "--until", ahead=True))
        return [{"schedule_id": item, **span} for item in await ids(pd, SCHEDULE, expand(schedules))]

    perform(context.obj, "schedules:read_detail", prepare, _options(output, fields, web=web))


@users.command("list")
def list_users(
    context: typer.Context,
    query: Query = None,
    team: TeamNames = None,
    limit: Limit = 25,
    everything: Everything = False,
    document: More = None,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """List users by name or email."""
    _list(context, USER, query, team, limit, document, _options(output, fields, everything=everything))


@users.command("show")
def show_users(
    context: typer.Context,
    users: Annotated[list[str], _named("users")],
    web: Web = False,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """Show users in full; me for yourself."""
    _show(context, USER, "user_id", users, _options(output, fields, web=web))


@teams.command("list")
def list_teams(
    context: typer.Context,
    query: Query = None,
    limit: Limit = 25,
    everything: Everything = False,
    document: More = None,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """List teams by name."""
    _list(context, TEAM, query, None, limit, document, _options(output, fields, everything=everything))


@teams.command("show")
def show_teams(
    context: typer.Context,
    teams: Annotated[list[str], _named("teams")],
    web: Web = False,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """Show teams in full."""
    _show(context, TEAM, "team_id", teams, _options(output, fields, web=web))


def _options(output: Output, fields: str | None, *, everything: bool = False, web: bool = False) -> Options:
    return Options(output=output, fields=split(fields), everything=everything, web=web)


def _list(
    context: typer.Context,
    kind: Kind,
    query: str | None,
    team: list[str] | None,
    limit: int,
    document: str | None,
    options: Options,
) -> None:
    async def prepare(pd: Any) -> list[Params]:
        params = given(query=query, team_ids=await ids(pd, TEAM, team or ()), limit=limit)
        return [with_more(params, document)]

    perform(context.obj, kind.reads, prepare, options)


def _show(context: typer.Context, kind: Kind, parameter: str, names: list[str], options: Options) -> None:
    async def prepare(pd: Any) -> list[Params]:
        return [{parameter: item} for item in await ids(pd, kind, expand(names))]

    perform(context.obj, f"{kind.reads}_detail", prepare, options)
