"""`agents suspend|resume`: the kill switch."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from arx_wrapper.cli.output import Format, Output, print_json, say
from arx_wrapper.cli.session import Session, require_name

app = typer.Typer(no_args_is_help=True, help="Stop an agent, in every process, from its next call on.")

Agent = Annotated[str, typer.Argument(help="The agent's id.")]


@app.command()
def suspend(
    context: typer.Context,
    agent: Agent,
    reason: Annotated[str, typer.Option(help="Why.")] = "suspended by an operator",
    output: Format = Output.TABLE,
) -> None:
    """Deny everything that an agent asks for, from now on."""
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
    """Let a suspended agent go on."""
    session: Session = context.obj
    require_name(agent, "AGENT")

    async def run(backends: Any) -> None:
        await backends.audit.resume(agent, org_id=session.config.org_id, by=session.config.agent_id)

    session.with_backends(run)
    if output is Output.JSON:
        print_json({"agent_id": agent, "suspended": False, "reason": None})
    else:
        say(f"{agent} may go on")
