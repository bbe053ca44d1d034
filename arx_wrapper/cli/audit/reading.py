"""Commands that look at the log: it is opened for reading alone, so that nothing is written, whatever they do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from arx_wrapper.audit import AuditLog
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
