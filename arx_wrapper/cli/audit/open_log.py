"""Open the audit log for commands that only read it, so that they write nothing, and find a record by its id."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from arx_wrapper.audit import AuditLog, AuditRecord
    from arx_wrapper.cli.session import Session

_T = TypeVar("_T")


def with_log(session: Session, work: Callable[[AuditLog], Awaitable[_T]]) -> _T:
    """Run something with the audit log, opened for reading alone."""

    async def run() -> _T:
        from arx_wrapper import audit

        config = session.config
        log = audit.open(config.audit_url, allow_memory=config.sandbox, read_only=True)
        try:
            return await work(log)
        finally:
            await log.aclose()

    return asyncio.run(run())


def seq_of(record_id: str) -> int | None:
    """Return the sequence number that a user typed; None for an id, which is longer."""
    return int(record_id) if record_id.isdecimal() and len(record_id) < 19 else None


async def record_at(log: AuditLog, record_id: str) -> AuditRecord:
    """Return the record with an id, or with a sequence number.

    Raises:
        typer.BadParameter: there is none.
    """
    seq = seq_of(record_id)
    found = log.records(id=record_id) if seq is None else log.records(after_seq=seq - 1, limit=1)
    async for record in found:
        if seq in (None, record.seq):
            return record
    raise typer.BadParameter(f"the log holds no record {record_id!r}")
