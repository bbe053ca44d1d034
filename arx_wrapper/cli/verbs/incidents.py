"""`incidents list|show|ack|note|snooze|resolve|reassign|merge|create`; `incident_reads.py` has the other reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from arx_wrapper.cli.completion import among
from arx_wrapper.cli.execution import Options, Params, Prepare, perform
from arx_wrapper.cli.names import ESCALATION_POLICY, SERVICE, TEAM, USER, expand, id_of, ids, incident_id
from arx_wrapper.cli.output import Format, Output
from arx_wrapper.cli.response_output import split
from arx_wrapper.cli.session import now_of
from arx_wrapper.cli.stdin import read_stdin
from arx_wrapper.cli.verbs import incident_reads
from arx_wrapper.cli.verbs.options import (
    Approval,
    DryRun,
    Every,
    Everything,
    Fields,
    IncidentId,
    IncidentIds,
    Limit,
    More,
    ServiceNames,
    Since,
    TeamNames,
    Until,
    Urgencies,
    Urgency,
    UserNames,
    Watch,
    Web,
    given,
    listed,
    seconds,
    time,
    with_more,
)

app = typer.Typer(no_args_is_help=True, help="Incidents: list, acknowledge, resolve.")
app.command()(incident_reads.alerts)
app.command()(incident_reads.log)
app.command()(incident_reads.notes)

_OPEN = ["triggered", "acknowledged"]


@app.command("list")
def list_(
    context: typer.Context,
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status",
            "-s",
            help="triggered, acknowledged, resolved, or all.",
            autocompletion=among("triggered", "acknowledged", "resolved", "all"),
        ),
    ] = None,
    urgency: Urgencies = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only those assigned to you.")] = False,
    service: ServiceNames = None,
    team: TeamNames = None,
    user: UserNames = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 25,
    everything: Everything = False,
    watch: Watch = False,
    every: Every = 10.0,
    document: More = None,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """List incidents: the open ones by default."""
    statuses = listed(status) or _OPEN

    async def prepare(pd: Any) -> list[Params]:
        now = now_of(pd)
        params = given(
            statuses=None if "all" in statuses else statuses,
            urgencies=listed(urgency),
            service_ids=await ids(pd, SERVICE, service or ()),
            team_ids=await ids(pd, TEAM, team or ()),
            user_ids=await ids(pd, USER, [*(user or ()), *(["me"] if mine else [])]),
            since=time(since, now, "--since"),
            until=time(until, now, "--until"),
            sort_by=["created_at:desc"],
            limit=limit,
        )
        return [with_more(params, document)]

    perform(
        context.obj,
        "incidents:read",
        prepare,
        Options(output=output, fields=split(fields), everything=everything, watch=every if watch else None),
    )


@app.command()
def show(
    context: typer.Context,
    incidents: IncidentIds,
    watch: Watch = False,
    every: Every = 10.0,
    web: Web = False,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """Show incidents in full."""

    async def prepare(_: Any) -> list[Params]:
        return [{"incident_id": item.removeprefix("#")} for item in expand(incidents)]

    options = Options(output=output, fields=split(fields), web=web, watch=every if watch else None)
    perform(context.obj, "incidents:read_detail", prepare, options)


@app.command("acknowledge", hidden=True)
@app.command()
def ack(
    context: typer.Context,
    incidents: IncidentIds,
    approval: Approval = None,
    dry_run: DryRun = False,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """Acknowledge incidents."""
    options = Options(output=output, fields=split(fields), dry_run=dry_run, approval=approval)
    perform(context.obj, "incidents:acknowledge", _each(incidents), options)


@app.command()
def resolve(
    context: typer.Context,
    incidents: IncidentIds,
    resolution: Annotated[str | None, typer.Option("--note", "-m", help="How it was resolved.")] = None,
    approval: Approval = None,
    dry_run: DryRun = False,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """Resolve incidents."""
    options = Options(output=output, fields=split(fields), dry_run=dry_run, approval=approval)
    perform(context.obj, "incidents:resolve", _each(incidents, **given(resolution=resolution)), options)


@app.command()
def note(
    context: typer.Context,
    arguments: Annotated[
        list[str], typer.Argument(metavar="ID... TEXT", help="Incidents, then the text; - for stdin.")
    ],
    approval: Approval = None,
    dry_run: DryRun = False,
    output: Format = Output.TABLE,
) -> None:
    """Add a note to incidents."""
    *incidents, text = arguments
    if not incidents:
        raise typer.BadParameter("name an incident, then the note's text: incidents note P1234AB 'looking at it'")
    if text == "-":
        text = _typed(incidents)
    options = Options(output=output, dry_run=dry_run, approval=approval)
    perform(context.obj, "incidents:add_note", _each(incidents, content=text), options)


@app.command()
def snooze(
    context: typer.Context,
    arguments: Annotated[list[str], typer.Argument(metavar="ID... DURATION", help="Incidents, then how long: 1h.")],
    length: Annotated[str | None, typer.Option("--for", help="How long, instead of the last argument: 1h.")] = None,
    approval: Approval = None,
    dry_run: DryRun = False,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """Snooze incidents: snooze P1234AB 1h."""
    *incidents, text = arguments if length is None else [*arguments, length]
    if not incidents:
        raise typer.BadParameter("name an incident, then how long: incidents snooze P1234AB 1h")
    options = Options(output=output, fields=split(fields), dry_run=dry_run, approval=approval)
    perform(
        context.obj,
        "incidents:snooze",
        _each(incidents, duration=seconds(text, "DURATION" if length is None else "--for")),
        options,
    )


@app.command()
def reassign(
    context: typer.Context,
    incidents: IncidentIds,
    to: Annotated[list[str], typer.Option("--to", help="Names, emails or ids of users, or me.")],
    approval: Approval = None,
    dry_run: DryRun = False,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """Assign incidents to other people."""

    async def prepare(pd: Any) -> list[Params]:
        assignees = await ids(pd, USER, to)
        return [{"incident_id": item, "assignee_ids": assignees} for item in await _incidents(pd, incidents)]

    options = Options(output=output, fields=split(fields), dry_run=dry_run, approval=approval)
    perform(context.obj, "incidents:reassign", prepare, options)


@app.command()
def merge(
    context: typer.Context,
    into: IncidentId,
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Incidents to merge into it; - for stdin.")],
    approval: Approval = None,
    dry_run: DryRun = False,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """Merge incidents into one, which stays open."""

    async def prepare(pd: Any) -> list[Params]:
        (target,) = await _incidents(pd, [into])
        return [{"incident_id": target, "source_incident_ids": await _incidents(pd, sources)}]

    options = Options(output=output, fields=split(fields), dry_run=dry_run, approval=approval)
    perform(context.obj, "incidents:merge", prepare, options)


@app.command()
def create(
    context: typer.Context,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What is wrong, in a line.")],
    service: Annotated[str, typer.Option("--service", "-s", help="A service's name or id.")],
    urgency: Urgency = None,
    body: Annotated[str | None, typer.Option("--body", "-b", help="Details.")] = None,
    assign: Annotated[list[str] | None, typer.Option("--assign", help="Names, emails or ids, or me.")] = None,
    policy: Annotated[str | None, typer.Option("--policy", help="An escalation policy's name or id.")] = None,
    web: Web = False,
    approval: Approval = None,
    dry_run: DryRun = False,
    document: More = None,
    fields: Fields = None,
    output: Format = Output.TABLE,
) -> None:
    """Open an incident, which pages whoever is on call."""

    async def prepare(pd: Any) -> list[Params]:
        params = given(
            title=title,
            service_id=await id_of(pd, SERVICE, service),
            urgency=urgency,
            body=body,
            assignee_ids=await ids(pd, USER, assign or ()),
            escalation_policy_id=await id_of(pd, ESCALATION_POLICY, policy) if policy else None,
        )
        return [with_more(params, document)]

    options = Options(output=output, fields=split(fields), web=web, dry_run=dry_run, approval=approval)
    perform(context.obj, "incidents:create", prepare, options)


def _typed(incidents: Sequence[str]) -> str:
    """Return the text on stdin.

    Raises:
        typer.BadParameter: there is none, or the ids are to come from there.
    """
    if "-" in incidents:
        raise typer.BadParameter("stdin can hold the ids or the text, not both")
    try:
        text = read_stdin().strip()
    except OSError as error:
        raise typer.BadParameter(f"stdin cannot be read: {error.strerror}") from None
    if not text:
        raise typer.BadParameter("stdin holds no text")
    return text


def _each(incidents: Sequence[str], **params: Any) -> Prepare:
    """Return the preparation of one call for each incident."""

    async def prepare(pd: Any) -> list[Params]:
        return [{"incident_id": item, **params} for item in await _incidents(pd, incidents)]

    return prepare


async def _incidents(pd: Any, texts: Sequence[str]) -> list[str]:
    return [await incident_id(pd, text) for text in expand(texts)]
