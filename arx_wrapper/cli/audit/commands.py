"""`audit tail|show|stats|verify|export`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from attrs import evolve

from arx_wrapper.cli.audit import database, proofs
from arx_wrapper.cli.audit.export import WRITERS, ExportFormat, target_of
from arx_wrapper.cli.audit.proofs import last_checkpoint
from arx_wrapper.cli.audit.reading import with_log
from arx_wrapper.cli.output import Format, Output, print_json, print_table, say, warn
from arx_wrapper.cli.session import Session, extras

app = typer.Typer(no_args_is_help=True, help="The audit log: look, verify, export.")
for _command in (database.migrate, database.admit, database.dismiss):
    app.command()(_command)

app.command()(proofs.keygen)
app.command()(proofs.checkpoint)
app.command()(proofs.prove)
app.command("verify-proof")(proofs.verify_proof)

Agent = Annotated[str | None, typer.Option("--agent", help="Only this agent's.")]
Operation = Annotated[str | None, typer.Option("--operation", help="Only these, e.g. 'incidents:*'.")]
Verdict = Annotated[str | None, typer.Option("--verdict", help="PERMIT, ESCALATE or DENY.")]
Status = Annotated[str | None, typer.Option("--status", help="success, error, unknown, blocked, ...")]
Since = Annotated[datetime | None, typer.Option("--since", help="From this time on (UTC).")]
Until = Annotated[datetime | None, typer.Option("--until", help="Up to this time (UTC).")]
_FOLLOW_EVERY = 0.5


@app.command()
def tail(
    context: typer.Context,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many records.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    agent: Agent = None,
    operation: Operation = None,
    verdict: Verdict = None,
    status: Status = None,
    output: Format = Output.TABLE,
) -> None:
    """Show the last records."""
    session: Session = context.obj
    filters = {"agent_id": agent, "operation": operation, "verdict": verdict, "status": status}

    async def run(log: Any) -> None:
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
    """Show one record whole, and the records of the same call.

    Example: arx-pagerduty audit show 17
    """
    session: Session = context.obj

    async def run(log: Any) -> list[Any]:
        seq = int(record_id) if record_id.isdecimal() and len(record_id) < 19 else None  # an id is longer
        which = {"id": record_id} if seq is None else {"after_seq": seq - 1, "limit": 1}
        found = [record async for record in log.records(**which)]
        if not found or seq not in (None, found[0].seq):
            raise typer.BadParameter(f"the log holds no record {record_id!r}")
        call = found[0].metadata.get("intent") or found[0].id
        others = [r async for r in log.records(call=call)] if found[0].operation else []
        return found + [record for record in others if record.id != found[0].id]

    record, *others = with_log(session, run)
    if output is Output.JSON:
        print_json({**msgspec.to_builtins(record), "same_call": [msgspec.to_builtins(other) for other in others]})
        return
    members = msgspec.structs.asdict(record)
    members["metadata"] = msgspec.json.encode(record.metadata, order="sorted").decode()
    print_table(("member", "value"), ([name, value] for name, value in members.items() if value is not None))
    if others:
        _show(others, output)


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

    Shows verdicts, outcomes and durations.

    Example: arx-pagerduty audit stats --since 2025-06-01
    """
    from arx_wrapper.audit.statistics import tally

    session: Session = context.obj

    async def run(log: Any) -> list[Any]:
        filters = {"agent_id": agent, "operation": operation, "since": _aware(since), "until": _aware(until)}
        return await tally(log.records(**filters))

    rows = [row.plain() for row in with_log(session, run)]
    if output is Output.JSON:
        print_json(rows)
        return
    columns = ("agent_id", "operation", "calls", "verdicts", "statuses", "median_ms", "p95_ms")
    print_table(columns, ([_counts(row[column]) for column in columns] for row in rows))


@app.command()
def rotate(context: typer.Context, output: Format = Output.TABLE) -> None:
    """Seal what is settled so far into a file of its own. It still verifies as one log with what follows.

    Example: arx-pagerduty audit rotate
    """
    session: Session = context.obj

    async def run(backends: Any) -> list[Any]:
        from arx_wrapper.audit.storage.segments import MOST

        sealed = []
        while segment := await backends.audit.rotate(by=session.config.agent_id, org_id=session.config.org_id):
            sealed.append(segment)
            if segment.last - segment.first + 1 < MOST:
                break
        return sealed

    sealed = session.with_backends(run)
    if output is Output.JSON:
        print_json([segment._asdict() for segment in sealed])
    else:
        lines = (f"{segment.file}: records {segment.first} to {segment.last}" for segment in sealed)
        say("\n".join(lines) or "Nothing to seal.")


@app.command()
def retain(
    context: typer.Context,
    before: Annotated[datetime, typer.Option("--before", help="Remove segments that hold only older records (UTC).")],
    output: Format = Output.TABLE,
) -> None:
    """Remove sealed segments, whole. Their last hash stays, so that the rest verifies, and the removal is on record.

    Example: arx-pagerduty audit retain --before 2024-06-01
    """
    session: Session = context.obj
    limit = before.replace(tzinfo=before.tzinfo or UTC)

    async def run(backends: Any) -> Any:
        return await backends.audit.retain(limit, by=session.config.agent_id, org_id=session.config.org_id)

    gone = session.with_backends(run)
    if output is Output.JSON:
        print_json([segment._asdict() for segment in gone])
    else:
        say("\n".join(f"{segment.file}: removed" for segment in gone) or "Nothing to remove.")


@app.command()
def reconcile(
    context: typer.Context,
    since: Annotated[datetime, typer.Option("--since", help="From this time on (UTC).")],
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
    end = _aware(until) or datetime.now(UTC) + timedelta(minutes=1)  # clocks differ

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


def _counts(value: object) -> object:
    return ", ".join(f"{count} {name}" for name, count in value.items()) if isinstance(value, dict) else value


@app.command()
def verify(
    context: typer.Context,
    places: Annotated[
        list[str] | None, typer.Option("--checkpoint", help="Hold it against the last checkpoint of this place too.")
    ] = None,
    key: Annotated[str, typer.Option(envvar="ARX_AUDIT_VERIFIER_KEY", help="The checkpoints' verifier key.")] = "",
    output: Format = Output.TABLE,
) -> None:
    """Verify every record: its hash, link and number.

    Exit status 5 when something is wrong.
    With a checkpoint also a rewrite with the log's own key shows, a fork, a tail that was cut off and an older copy.

    Example: arx-pagerduty audit verify --checkpoint s3://bucket/checkpoints --key NAME+1234abcd+BASE64
    """
    session: Session = context.obj
    if places and not key:
        raise typer.BadParameter("--checkpoint needs --key, the verifier's key")

    async def run(log: Any) -> Any:
        found = await log.verify()
        if not places or not found.ok:
            return found
        from arx_wrapper.audit.transparency.checkpoint import opened, verify_against
        from arx_wrapper.audit.transparency.signed_note import Verifier

        verifier = Verifier.parse(key)
        checkpoint = opened(await last_checkpoint(places, verifier), verifier)
        problem = await verify_against(log, checkpoint)
        return found if problem is None else evolve(found, ok=False, problem=problem)

    with extras():
        found = with_log(session, run)
    if output is Output.JSON:
        print_json({"ok": found.ok, "records": found.records, "problem": found.problem})
    elif found.ok:
        say(f"{found.records} records: the chain holds")
    if not found.ok:
        warn(f"The audit log does not verify: {found.problem}. It holds {found.records} records in order.")
    raise typer.Exit(0 if found.ok else 5)


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
    since: Since = None,
    until: Until = None,
) -> None:
    """Write records out, oldest first."""
    session: Session = context.obj

    async def run(log: Any) -> int:
        records = log.records(
            agent_id=agent,
            operation=operation,
            verdict=verdict,
            status=status,
            since=_aware(since),
            until=_aware(until),
        )
        with target_of(file) as target:
            return await WRITERS[form](records, target)

    count = with_log(session, run)
    warn(f"{count} records exported")


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _show(records: list[Any], output: Output) -> None:
    if output is Output.JSON:
        for record in records:
            print_json(msgspec.to_builtins(record))
        return
    columns = ("seq", "time", "agent", "action", "operation", "verdict", "status", "policy", "error")
    print_table(columns, (_row(record) for record in records))


def _row(record: Any) -> list[object]:
    return [
        record.seq,
        record.created_at[:19].replace("T", " "),
        record.agent_id,
        record.action_type,
        record.operation,
        record.policy_verdict,
        record.status,
        record.policy,
        record.error,
    ]
