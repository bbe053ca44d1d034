"""`audit report`: read the log, verify it, and write the report."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from arx_wrapper.cli.audit.open_log import with_log
from arx_wrapper.cli.audit.proofs import last_checkpoint
from arx_wrapper.cli.output import warn
from arx_wrapper.cli.report.collect import Report, collect
from arx_wrapper.cli.report.page import html
from arx_wrapper.cli.session import Session, extras
from arx_wrapper.cli.times import moment
from arx_wrapper.errors import ConfigError

if TYPE_CHECKING:
    from arx_wrapper.audit import AuditLog


class ReportFormat(StrEnum):
    """The form of the report."""

    HTML = "html"
    JSON = "json"


def report(
    context: typer.Context,
    since: Annotated[str, typer.Option("--since", help="From when: 90d, or a date (UTC).")] = "90d",
    until: Annotated[str | None, typer.Option("--until", help="Until when; default now.")] = None,
    file: Annotated[Path, typer.Option("--file", "-f", help="Where to; - for stdout.")] = Path("report.html"),
    form: Annotated[
        ReportFormat | None, typer.Option("--format", help="html or json; by default as the file is called.")
    ] = None,
    stores: Annotated[
        list[str] | None, typer.Option("--checkpoint", help="Compare with the last checkpoint of this store.")
    ] = None,
    key: Annotated[str, typer.Option(envvar="ARX_AUDIT_VERIFIER_KEY", help="The checkpoints' verifier key.")] = "",
) -> None:
    """Write a report for auditors, as one file.

    It says who did what to which object, under which policy, and who approved it with which proof. It lists refused
    calls, unknown outcomes and policies, and whether the log verifies. Exit status 5 when it does not.
    """
    session: Session = context.obj
    now = datetime.now(UTC)
    try:
        start, end = moment(since, now), moment(until, now) if until else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if stores and not key:
        raise typer.BadParameter("--checkpoint needs --key, the verifier's key")

    async def run(log: AuditLog) -> Report:
        found = await collect(
            log.records(since=start, until=end),
            log.records(action_type="policy.loaded", until=end),
            since=start,
            until=end,
        )
        found.verification = await _verified(log, stores or [], key)
        return found

    with extras():
        found = with_log(session, run)
    chosen = form or (ReportFormat.JSON if file.suffix == ".json" else ReportFormat.HTML)
    if chosen is ReportFormat.JSON:
        _write(file, [msgspec.json.encode(found.plain(), order="sorted").decode(), "\n"])
    else:
        _write(file, html(found, now.isoformat(timespec="seconds")))
    if file != Path("-"):
        warn(f"{file}: {found.calls} calls, {len(found.writes)} writes, {len(found.refused)} refused")
    raise typer.Exit(0 if found.verification["ok"] else 5)


async def _verified(log: AuditLog, stores: list[str], key: str) -> dict[str, Any]:
    """Return the result of verifying the log, against its last checkpoint where there is one."""
    found = await log.verify()
    result: dict[str, Any] = {"ok": found.ok, "records": found.records, "problem": found.problem, "checkpoint": None}
    if not found.ok or not stores:
        return result
    from arx_wrapper.audit.transparency.checkpoint import opened, verify_against
    from arx_wrapper.audit.transparency.signed_note import Verifier

    verifier = Verifier.parse(key)
    checkpoint = opened(await last_checkpoint(stores, verifier), verifier)
    problem = await verify_against(log, checkpoint)
    if problem is not None:
        return {**result, "ok": False, "problem": problem}
    shown = {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex()}
    return {**result, "checkpoint": shown}


def _write(file: Path, pieces: Iterable[str]) -> None:
    """Write a file that its owner alone can read; one that exists is replaced."""
    if file == Path("-"):
        for piece in pieces:
            sys.stdout.write(piece)
        return
    try:
        file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.writelines(pieces)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}.") from None
