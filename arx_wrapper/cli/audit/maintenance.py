"""`audit migrate|rotate|retain`: convert a log, seal its finished records, remove old ones."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arx_wrapper.cli.audit import postgres_admin
from arx_wrapper.cli.audit.filters import parsed
from arx_wrapper.cli.audit.open_log import with_log
from arx_wrapper.cli.output import Format, Output, print_json, say, warn
from arx_wrapper.cli.session import Session
from arx_wrapper.urls import is_postgres

if TYPE_CHECKING:
    from arx_wrapper.audit import AuditLog
    from arx_wrapper.audit.store import Segment


def migrate(
    context: typer.Context,
    show: Annotated[bool, typer.Option("--print", help="Print the SQL of a new log instead, for psql -1.")] = False,
) -> None:
    """Bring the log's tables to this version, once.

    In PostgreSQL run it as the owner of the tables: connectors log in as roles that may not make tables. In SQLite it
    gives a log of an earlier version its Merkle tree and its index.
    """
    session: Session = context.obj
    if show or is_postgres(session.config.audit_url):
        postgres_admin.migrate(session, show=show)
        return
    from arx_wrapper.audit import convert

    if not sys.stderr.isatty():
        before, after = convert(session.config.audit_url, progress=lambda done, total: None)
    else:
        with typer.progressbar(length=100, label="converting", file=sys.stderr) as bar:
            before, after = convert(session.config.audit_url, progress=_advance(bar))
    say(f"the log has format {after}" + (f", before it was {before}" if before < after else ""))


def _advance(bar: Any) -> Callable[[int, int], None]:
    shown = [0]

    def advance(done: int, total: int) -> None:
        percent = min(100, done * 100 // max(total, 1))
        bar.update(percent - shown[0])
        shown[0] = percent

    return advance


def rotate(context: typer.Context, output: Format = Output.TABLE) -> None:
    """Move finished records into a sealed file.

    The sealed file and the log still verify as one.
    """
    session: Session = context.obj

    async def run(backends: Any) -> list[Segment]:
        from arx_wrapper.audit.storage.segments import MAX_RECORDS

        sealed: list[Segment] = []
        while segment := await backends.audit.rotate(by=session.config.agent_id, org_id=session.config.org_id):
            sealed.append(segment)
            if segment.last - segment.first + 1 < MAX_RECORDS:
                break
        return sealed

    sealed = session.with_backends(run)
    if output is Output.JSON:
        print_json([segment._asdict() for segment in sealed])
    else:
        lines = (f"{segment.file}: records {segment.first} to {segment.last}" for segment in sealed)
        say("\n".join(lines) or "Nothing to seal.")


def retain(
    context: typer.Context,
    before: Annotated[
        datetime,
        typer.Option("--before", parser=parsed, metavar="TIME", help="Remove files of older records only: 90d."),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove them without asking.")] = False,
    output: Format = Output.TABLE,
) -> None:
    """Remove old sealed files, after asking.

    Their records are gone for good. Their hashes stay in the Merkle tree, so the rest still verifies and agrees with
    every checkpoint. The log records the removal. Where checkpoints are configured, one is taken before anything is
    removed; a log that does not verify is left as it is.
    """
    session: Session = context.obj
    limit = before.replace(tzinfo=before.tzinfo or UTC)

    async def look(log: AuditLog) -> Sequence[Segment]:
        return await log.expired(limit)

    async def run(backends: Any) -> Sequence[Segment]:
        if session.config.checkpoints:
            from arx_wrapper.audit.transparency.checkpoint import sign_checkpoint
            from arx_wrapper.core.backends import checkpoint_plan

            plan = checkpoint_plan(session.config.checkpoints, session.config.proxy)
            await sign_checkpoint(backends.audit, plan.signer(), plan.stores, plan.witnesses)
        removed: Sequence[Segment] = await backends.audit.retain(
            limit, by=session.config.agent_id, org_id=session.config.org_id
        )
        return removed

    expired = with_log(session, look)
    if expired and not yes:
        _ask(expired)
    gone = session.with_backends(run) if expired else []
    if output is Output.JSON:
        print_json([segment._asdict() for segment in gone])
    else:
        say("\n".join(f"{segment.file}: removed" for segment in gone) or "Nothing to remove.")


def _ask(expired: Sequence[Segment]) -> None:
    """Have a person confirm a removal.

    Raises:
        typer.BadParameter: there is no terminal to ask at.
        typer.Exit: the person says no.
    """
    for segment in expired:
        warn(f"{segment.file}: records {segment.first} to {segment.last}, the last of {segment.newest[:19]}Z")
    if not sys.stdin.isatty():
        raise typer.BadParameter("this removes records for good: say --yes, or run it at a terminal")
    if not typer.confirm(f"Remove {len(expired)} segments for good?", err=True):
        warn("Nothing was removed.")
        raise typer.Exit(0)
