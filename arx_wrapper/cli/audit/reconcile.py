"""`audit reconcile`: PagerDuty's own log beside this one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
import typer

from arx_wrapper.cli.audit.filters import Until, aware, parsed
from arx_wrapper.cli.output import Format, Output, print_json, print_table, say, warn
from arx_wrapper.cli.session import Session


def reconcile(
    context: typer.Context,
    since: Annotated[
        datetime, typer.Option("--since", parser=parsed, metavar="TIME", help="From when: 30d, 2h ago, a date (UTC).")
    ],
    until: Until = None,
    requester: Annotated[str | None, typer.Option(help="Whose acts; default the vault's requester.")] = None,
    output: Format = Output.TABLE,
) -> None:
    """Compare PagerDuty's log entries with the audit log.

    Exit status 5 when one has what the other has not.
    The agent needs users:read, incidents:read and incidents:read_log; the calls are governed like all others.

    Example: arx-pagerduty audit reconcile --since 2025-06-01
    """
    from arx_wrapper.pagerduty.reconciliation import reconcile as compare

    session: Session = context.obj
    start = since.replace(tzinfo=since.tzinfo or UTC)
    end = aware(until) or datetime.now(UTC) + timedelta(minutes=1)  # clocks differ

    async def run(pd: Any) -> Any:
        email = requester or await pd.requester_email()
        if not email:
            raise typer.BadParameter("no requester is known: pass --requester, or store one in the vault")
        return await compare(pd, requester_email=email, since=start, until=end)

    found = session.with_connector(run)
    if output is Output.JSON:
        print_json(msgspec.to_builtins(found))
    else:
        say(f"{found.incidents} incidents, {found.matched} acts in both logs")
        rows = [(name, act) for name in ("theirs", "ours", "settled") for act in getattr(found, name)]
        if rows:
            print_table(
                ("only in", "incident", "operation", "at", "agent", "source"),
                (
                    [_SIDES[n], a.incident_id, a.operation, f"{a.at:%Y-%m-%d %H:%M:%S}Z", a.agent_id, a.source]
                    for n, a in rows
                ),
            )
    if found.theirs or found.ours:
        warn(f"{len(found.theirs)} acts only in PagerDuty's log, {len(found.ours)} only in ours")
        raise typer.Exit(5)


_SIDES = {"theirs": "PagerDuty", "ours": "audit log", "settled": "(outcome was unknown)"}
