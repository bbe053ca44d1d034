"""`agents list|suspend|resume`: list the agents in the log, suspend one, resume one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from arx_wrapper.audit.log import AuditLog, utc_now
from arx_wrapper.cli.audit.open_log import with_log
from arx_wrapper.cli.output import Format, Output, print_json, print_table, say
from arx_wrapper.cli.session import Session, require_name
from arx_wrapper.cli.times import moment

_CALLS = ("connector.called", "connector.refused")

app = typer.Typer(no_args_is_help=True, help="Agents: list, suspend, resume.")

Agent = Annotated[str, typer.Argument(metavar="AGENT", help="The agent's id.")]


@app.command("list")
def list_(
    context: typer.Context,
    since: Annotated[str, typer.Option("--since", help="Count calls from then on: 30d, or a date.")] = "30d",
    output: Format = Output.TABLE,
) -> None:
    """List the agents on record, and which are suspended."""
    session: Session = context.obj
    try:
        start = moment(since, utc_now())
    except ValueError as error:
        raise typer.BadParameter(f"--since: {error}") from None

    async def run(log: AuditLog) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for action in ("agent.suspended", "agent.resumed"):  # whenever that was
            async for record in log.records(action_type=action):
                found.setdefault(record.agent_id, _unseen(record.agent_id))
        for name, reason in (await log.suspensions()).items():
            found.setdefault(name, _unseen(name))["suspended"] = reason
        async for record in log.records(since=start):
            if record.action_type in _CALLS:
                agent = found.setdefault(record.agent_id, _unseen(record.agent_id))
                agent["calls"] += record.action_type == "connector.called"
                agent["refused"] += record.action_type == "connector.refused"
                agent["last"] = record.created_at
        return [found[name] for name in sorted(found)]

    agents = with_log(session, run)
    if output is Output.JSON:
        print_json(agents)
    elif agents:
        columns = ("agent", "calls", "refused", "last", "suspended")
        print_table(columns, ([agent[column] for column in columns] for agent in agents))
    else:
        say(f"No agent is on record since {start:%Y-%m-%d}.")


def _unseen(agent: str) -> dict[str, Any]:
    return {"agent": agent, "calls": 0, "refused": 0, "last": None, "suspended": None}


@app.command()
def suspend(
    context: typer.Context,
    agent: Agent,
    reason: Annotated[str, typer.Option(help="Why.")] = "suspended by an operator",
    output: Format = Output.TABLE,
) -> None:
    """Deny every call of an agent, from now on."""
    session: Session = context.obj
    require_name(agent, "AGENT")
    if not reason.strip():
        raise typer.BadParameter("--reason must say why: refusals and records name it")

    async def run(backends: Any) -> None:
        await backends.audit.suspend(agent, org_id=session.config.org_id, by=session.config.agent_id, reason=reason)

    session.with_backends(run)
    if output is Output.JSON:
        print_json({"agent_id": agent, "suspended": True, "reason": reason})
    else:
        say(f"{agent} is suspended: {reason}")


@app.command()
def resume(context: typer.Context, agent: Agent, output: Format = Output.TABLE) -> None:
    """Lift an agent's suspension."""
    session: Session = context.obj
    require_name(agent, "AGENT")

    async def run(backends: Any) -> None:
        await backends.audit.resume(agent, org_id=session.config.org_id, by=session.config.agent_id)

    session.with_backends(run)
    if output is Output.JSON:
        print_json({"agent_id": agent, "suspended": False, "reason": None})
    else:
        say(f"{agent} is no longer suspended")
