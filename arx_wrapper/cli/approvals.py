"""`approvals list|show|approve|deny`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from arx_wrapper.cli.output import Format, Output, print_json, print_table, say
from arx_wrapper.cli.session import Session

app = typer.Typer(no_args_is_help=True, help="Requests for approval, and a reviewer's answer to them.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The request's id.")]
Reviewer = Annotated[str, typer.Option(help="Who decides: not the agent that asks.")]
Note = Annotated[str, typer.Option(help="What to add for the record.")]


@app.command("list")
def list_(
    context: typer.Context,
    state: Annotated[str | None, typer.Option(help="pending, approved, denied, expired, consumed, stale.")] = None,
    output: Format = Output.TABLE,
) -> None:
    """List requests, newest first."""
    session: Session = context.obj

    async def run(rooms: Any) -> Any:
        return await rooms.approvals.list(state)

    requests = session.with_rooms(run)
    if output is Output.JSON:
        print_json([_plain(request) for request in requests])
    else:
        columns = ("id", "state", "operation", "risk", "agent", "expires")
        rows = (
            [r.id, r.state, r.operation, r.risk.name, r.agent_id, f"{r.expires_at:%Y-%m-%d %H:%M}Z"] for r in requests
        )
        print_table(columns, rows)


@app.command()
def show(context: typer.Context, approval_id: Id, output: Format = Output.TABLE) -> None:
    """Show what a request would do, exactly."""
    from arx_wrapper.approvals import render

    session: Session = context.obj

    async def run(rooms: Any) -> Any:
        return await rooms.approvals.get(approval_id)

    request = session.with_rooms(run)
    if output is Output.JSON:
        print_json(_plain(request))
    else:
        say(render(request))


@app.command()
def approve(
    context: typer.Context, approval_id: Id, reviewer: Reviewer, note: Note = "", output: Format = Output.TABLE
) -> None:
    """Agree to a request."""
    _decide(context.obj, approval_id, reviewer, True, note, output)


@app.command()
def deny(
    context: typer.Context, approval_id: Id, reviewer: Reviewer, note: Note = "", output: Format = Output.TABLE
) -> None:
    """Refuse a request."""
    _decide(context.obj, approval_id, reviewer, False, note, output)


def _decide(session: Session, approval_id: str, reviewer: str, approve: bool, note: str, output: Output) -> None:
    from arx_wrapper.review import review

    async def run(rooms: Any) -> Any:
        return await review(rooms.approvals, rooms.audit, approval_id, reviewer=reviewer, approve=approve, note=note)

    request = session.with_rooms(run)
    if output is Output.JSON:
        print_json(_plain(request))
    else:
        say(f"{request.id}: {request.state}")


def _plain(request: Any) -> dict[str, Any]:
    return {
        "id": request.id,
        "state": request.state,
        "operation": request.operation,
        "effects": [[effect.operation, effect.risk.name, effect.count] for effect in request.effects],
        "risk": request.risk.name,
        "params": request.params,
        "target": request.target,
        "agent_id": request.agent_id,
        "org_id": request.org_id,
        "policy": request.policy,
        "policy_source": request.policy_source,
        "reason": request.reason,
        "channel": request.channel,
        "digest": request.digest,
        "created_at": request.created_at.isoformat(),
        "expires_at": request.expires_at.isoformat(),
        "min_approvals": request.min_approvals,
        "decisions": [
            {"reviewer": d.reviewer, "approve": d.approve, "note": d.note, "at": d.at.isoformat()}
            for d in request.decisions
        ],
    }
