"""`audit tail|show|stats|verify|export|policy`: read the audit log."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from arx_wrapper.cli.audit import maintenance, postgres_admin, proofs, verifying
from arx_wrapper.cli.audit import reconcile as reconciling
from arx_wrapper.cli.audit.export import WRITERS, ExportFormat, target_of
from arx_wrapper.cli.audit.filters import (
    Agent,
    Approval,
    Operation,
    Reviewer,
    Since,
    Status,
    Target,
    Until,
    Verdict,
    selection,
)
from arx_wrapper.cli.audit.open_log import record_at, with_log
from arx_wrapper.cli.bars import draw, timeline
from arx_wrapper.cli.grid import width
from arx_wrapper.cli.output import Format, Output, print_json, print_table, say, warn
from arx_wrapper.cli.session import Session

if TYPE_CHECKING:
    from arx_wrapper.audit import AuditLog, AuditRecord

app = typer.Typer(no_args_is_help=True, help="The audit log: look, verify, export.")
app.command()(verifying.verify)
app.command()(maintenance.migrate)
app.command()(postgres_admin.grant)
app.command()(postgres_admin.revoke)
app.command(hidden=True)(postgres_admin.admit)
app.command(hidden=True)(postgres_admin.dismiss)
app.command()(proofs.keygen)
app.command()(proofs.checkpoint)
app.command()(proofs.prove)
app.command("verify-proof")(proofs.verify_proof)
app.command()(maintenance.rotate)
app.command()(maintenance.retain)
app.command()(reconciling.reconcile)

_FOLLOW_EVERY = 0.5
# Columns. A narrower terminal gets the date in its own column, which is left out before the verdict and the status.
_WITH_DATES = 120


@app.command()
def tail(
    context: typer.Context,
    lines: Annotated[int, typer.Option("--lines", "--limit", "-n", min=1, help="How many records.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new records until Ctrl-C.")] = False,
    agent: Agent = None,
    operation: Operation = None,
    verdict: Verdict = None,
    status: Status = None,
    target: Target = None,
    reviewer: Reviewer = None,
    approval: Approval = None,
    since: Since = None,
    until: Until = None,
    output: Format = Output.TABLE,
) -> None:
    """Show the last records."""
    session: Session = context.obj
    filters = selection(
        agent_id=agent,
        operation=operation,
        verdict=verdict,
        status=status,
        target=target,
        reviewer=reviewer,
        approval=approval,
        since=since,
        until=until,
    )

    async def run(log: AuditLog) -> None:
        newest = [record async for record in log.records(**filters, limit=lines, newest_first=True)]
        _show(newest[::-1], output)
        last = newest[0].seq if newest else 0
        while follow:
            await asyncio.sleep(_FOLLOW_EVERY)
            async for record in log.records(**filters, after_seq=last):
                last = record.seq
                _show([record], output)

    with_log(session, run)


@app.command()
def show(
    context: typer.Context,
    record_id: Annotated[str, typer.Argument(metavar="ID", help="A record's id, or its seq.")],
    output: Format = Output.TABLE,
) -> None:
    """Show one record in full, with its call and approval."""
    session: Session = context.obj

    async def run(log: AuditLog) -> tuple[AuditRecord, list[AuditRecord], list[AuditRecord]]:
        record = await record_at(log, record_id)
        call = record.metadata.get("intent") or record.id
        same = [one async for one in log.records(call=call)] if record.operation else []
        same = [one for one in same if one.id != record.id]
        approvals = sorted({one.approval_id for one in (record, *same) if one.approval_id})
        known = {record.id, *(one.id for one in same)}
        about = [one for each in approvals async for one in log.records(approval=each) if one.id not in known]
        return record, same, about

    record, same, about = with_log(session, run)
    if output is Output.JSON:
        plain = {"same_call": msgspec.to_builtins(same), "approval": msgspec.to_builtins(about)}
        print_json({**msgspec.to_builtins(record), **plain})
        return
    members = msgspec.structs.asdict(record)
    members["metadata"] = msgspec.json.encode(record.metadata, order="sorted").decode()
    print_table(("member", "value"), ([name, value] for name, value in members.items() if value is not None))
    if same or about:
        _show(sorted([*same, *about], key=lambda one: one.seq), output)


@app.command()
def stats(
    context: typer.Context,
    agent: Agent = None,
    operation: Operation = None,
    since: Since = None,
    until: Until = None,
    output: Format = Output.TABLE,
) -> None:
    """Count calls by agent and operation.

    Shows verdicts, outcomes and durations, and on a table the calls of each day.
    """
    from arx_wrapper.audit.statistics import tally

    session: Session = context.obj
    filters = selection(agent_id=agent, operation=operation, since=since, until=until)

    days: Counter[str] = Counter()

    async def counted(records: AsyncIterator[AuditRecord]) -> AsyncIterator[AuditRecord]:
        async for record in records:
            days[record.created_at[:10]] += record.action_type == "connector.called"
            yield record

    async def run(log: AuditLog) -> list[Any]:
        return await tally(counted(log.records(**filters)))

    rows = [row.plain() for row in with_log(session, run)]
    if output is Output.JSON:
        print_json(rows)
        return
    columns = ("agent_id", "operation", "calls", "verdicts", "statuses", "median_ms", "p95_ms")
    print_table(columns, ([_counts(row[column]) for column in columns] for row in rows))
    if output is Output.TABLE:
        draw(timeline(+days))


def _counts(value: object) -> object:
    return ", ".join(f"{count} {name}" for name, count in value.items()) if isinstance(value, dict) else value


@app.command()
def export(
    context: typer.Context,
    form: Annotated[
        ExportFormat,
        typer.Option("--format", help="jsonl, csv or ocsf (class 6003, API Activity)."),
    ] = ExportFormat.JSONL,
    file: Annotated[Path | None, typer.Option("--file", help="Where to; default stdout.")] = None,
    agent: Agent = None,
    operation: Operation = None,
    verdict: Verdict = None,
    status: Status = None,
    target: Target = None,
    reviewer: Reviewer = None,
    approval: Approval = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Write records out, oldest first."""
    session: Session = context.obj
    filters = selection(
        agent_id=agent,
        operation=operation,
        verdict=verdict,
        status=status,
        target=target,
        reviewer=reviewer,
        approval=approval,
        since=since,
        until=until,
    )

    async def run(log: AuditLog) -> int:
        with target_of(file) as opened:
            return await WRITERS[form](log.records(**filters), opened)

    count = with_log(session, run)
    warn(f"{count} records exported")


@app.command()
def policy(
    context: typer.Context,
    digest: Annotated[str, typer.Argument(help="The digest of a `policy.loaded` record, or its beginning.")],
) -> None:
    """Print the text of a policy that was in force.

    The log keeps it once for each digest, which a `policy.loaded` record names.
    """
    session: Session = context.obj

    async def run(log: AuditLog) -> str:
        async for record in log.records(action_type="policy.loaded"):
            metadata = record.metadata
            if isinstance(metadata.get("text"), str) and str(metadata.get("digest")).startswith(digest):
                return str(metadata["text"])
        raise typer.BadParameter(f"the log holds no policy {digest!r}")

    say(with_log(session, run))


def _show(records: list[AuditRecord], output: Output) -> None:
    if output is Output.JSON:
        for record in records:
            print_json(msgspec.to_builtins(record))
        return
    narrow = output is Output.TABLE and width() < _WITH_DATES
    rows = [_row(record, narrow=narrow) for record in records]
    columns = ["seq", "time", "operation", "verdict", "status", "by", "action", "agent", "date", "policy", "error"]
    if not narrow:
        columns.remove("date")
    if output is Output.TABLE and not any(row["by"] for row in rows):
        columns.remove("by")
    print_table(columns, ([row[column] for column in columns] for row in rows))


def _row(record: AuditRecord, *, narrow: bool) -> dict[str, object]:
    """Return a record's cells; `narrow` omits the date from the time, and the subject from the action."""
    date, _, time = record.created_at[:19].partition("T")
    kind, _, step = record.action_type.partition(".")
    return {
        "seq": record.seq,
        "time": time if narrow else f"{date} {time}",
        "operation": record.operation or (kind if narrow else None),
        "verdict": record.policy_verdict or record.metadata.get("verdict"),
        "status": record.status,
        "by": record.metadata.get("reviewer") if record.action_type == "approval.reviewed" else None,
        "action": step if narrow else record.action_type,
        "agent": record.agent_id,
        "date": date,
        "policy": record.policy,
        "error": record.error,
    }
