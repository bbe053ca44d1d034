"""`audit reconcile`: compare PagerDuty's own logs with the audit log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from arx_wrapper.cli.audit.filters import Until, aware, parsed
from arx_wrapper.cli.output import Format, Output, print_json, print_table, say, warn
from arx_wrapper.cli.session import Session
from arx_wrapper.errors import PagerDutyError, PermissionDeniedError

if TYPE_CHECKING:
    from arx_wrapper.pagerduty.configuration_changes import Change, ConfigurationChanges, OwnChange
    from arx_wrapper.pagerduty.reconciliation import Reconciliation

_INSTEAD: Final = "To compare the incidents alone, pass --incidents-only."


def reconcile(
    context: typer.Context,
    since: Annotated[
        datetime, typer.Option("--since", parser=parsed, metavar="TIME", help="From when: 30d, 2h ago, a date (UTC).")
    ],
    until: Until = None,
    requester: Annotated[
        str | None, typer.Option(help="Whose acts on incidents; default the vault's requester.")
    ] = None,
    incidents_only: Annotated[
        bool, typer.Option("--incidents-only", help="Leave out changes of services, policies, users and teams.")
    ] = False,
    output: Format = Output.TABLE,
) -> None:
    """Compare PagerDuty's own logs with the audit log.

    The log entries of incidents show what the requester did outside the connector. PagerDuty's audit records show who
    changed services, escalation policies, schedules, users or teams outside it, and from where.

    Exit status 5 when one side has what the other has not.
    The agent needs users:read, incidents:read, incidents:read_log and audit:read; the calls are governed like all
    others. For audit:read PagerDuty wants an account's key or an admin's (scope audit_records.read).

    Example: arx-pagerduty audit reconcile --since 2025-06-01
    """
    from arx_wrapper.pagerduty.configuration_changes import OPERATION, refused
    from arx_wrapper.pagerduty.reconciliation import reconcile as compare

    session: Session = context.obj
    start = since.replace(tzinfo=since.tzinfo or UTC)
    end = aware(until) or datetime.now(UTC) + timedelta(minutes=1)  # clocks differ
    if start >= end:
        raise typer.BadParameter(f"--since {start:%Y-%m-%d %H:%M:%S}Z is not before --until. Nothing was read.")

    async def run(pd: Any) -> Reconciliation:
        email = requester or await pd.requester_email()
        if not email:
            raise typer.BadParameter("no requester is known: pass --requester, or store one in the vault")
        return await compare(pd, requester_email=email, since=start, until=end, configuration=not incidents_only)

    try:
        found = session.with_connector(run)
    except PermissionDeniedError as error:
        if error.decision.operation == OPERATION:
            warn(_INSTEAD)
        raise
    except PagerDutyError as error:
        if refused(error):
            warn(f"PagerDuty's audit records need an account's key or an admin's, and a plan that has them. {_INSTEAD}")
        raise
    if output is Output.JSON:
        print_json(msgspec.to_builtins(found))
    else:
        _show_incidents(found)
        if found.configuration:
            _show_changes(found.configuration)
    if _differs(found):
        raise typer.Exit(5)


def _differs(found: Reconciliation) -> bool:
    """Print on stderr how many acts and changes only one side has; return True when there is one."""
    differs = bool(found.theirs or found.ours)
    if differs:
        warn(f"{len(found.theirs)} acts only in PagerDuty's log, {len(found.ours)} only in ours")
    if (changes := found.configuration) and (changes.outside or changes.missing):
        warn(f"{len(changes.outside)} changes outside the connector, {len(changes.missing)} of ours not in PagerDuty")
        differs = True
    return differs


def _show_incidents(found: Reconciliation) -> None:
    say(f"{found.incidents} incidents, {found.matched} acts in both logs")
    rows = [(name, act) for name in ("theirs", "ours", "confirmed") for act in getattr(found, name)]
    if rows:
        print_table(
            ("only in", "incident", "operation", "at", "agent", "source"),
            ([_SIDES[n], a.incident_id, a.operation, _time(a.at), a.agent_id, a.source] for n, a in rows),
        )


def _show_changes(found: ConfigurationChanges) -> None:
    say(f"{found.recorded} changes of the configuration, {found.matched} of them through the connector")
    if found.outside:
        print_table(
            ("outside, at", "who", "change", "object", "by", "from", "parts", "request"),
            map(_outside, found.outside),
        )
    rows = [(name, own) for name in ("missing", "awaited", "confirmed") for own in getattr(found, name)]
    if rows:
        print_table(("ours", "operation", "object", "at", "agent", "source"), (_own(name, own) for name, own in rows))


def _outside(change: Change) -> list[object]:
    """Return the cells of a change that was made outside the connector."""
    name = f" {change.resource_name}" if change.resource_name else ""
    key = f" …{change.key}" if change.key else ""
    return [
        _time(change.at),
        ", ".join(change.who),
        change.action,
        f"{change.resource_type} {change.resource_id}{name}",
        f"{change.method}{key}{' (our key)' if change.our_key else ''}",
        change.address,
        ", ".join(change.parts),
        change.request_id,
    ]


def _own(name: str, own: OwnChange) -> list[object]:
    return [_OURS[name], own.operation, own.resource_id, _time(own.at), own.agent_id, own.source]


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


_SIDES = {"theirs": "PagerDuty", "ours": "audit log", "confirmed": "(outcome was unknown)"}
_OURS = {
    "missing": "not in PagerDuty",
    "awaited": "(too recent to tell)",
    "confirmed": "(outcome was unknown)",
}
