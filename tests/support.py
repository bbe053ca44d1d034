"""Shared by tests: policies, and a look at the audit log."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from os import PathLike
from typing import Any

from arx_wrapper import PagerDutyConnector
from arx_wrapper.approvals import ApprovalRequest
from arx_wrapper.audit import AuditRecord
from arx_wrapper.core.review import review
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.vault.fixed import FixedVault

EVERYTHING: dict[str, Any] = {
    "name": "everything",
    "connector": "pagerduty",
    "operations": ["*"],
    "risk_max": "high",
    "approval": "none",
    "show": ["*"],
}
ASK_ABOUT_HIGH: dict[str, Any] = {
    **EVERYTHING,
    "name": "ask-about-high",
    "approval": {"low": "none", "medium": "none", "high": "hitl"},
    "hitl_channel": "#approvals",
}
CANARY = "canary-u0-9f2b7c-do-not-print"
# Seconds, for what takes a moment or never ends: a guard against hanging, never a measure of speed.
PATIENCE = 60.0


@contextmanager
def sqlite_at(path: str | PathLike[str], **options: Any) -> Iterator[sqlite3.Connection]:
    """A database from outside: what is changed in it is committed, and it is closed."""
    with closing(sqlite3.connect(path, **options)) as database, database:
        yield database


def advance(seconds: float) -> None:
    """Put the clock of the running event loop forward: a timer that was due within these seconds is due now.

    A deadline passes at the place that a test has reached, however fast or slow the machine is.
    """
    loop = asyncio.get_running_loop()
    now = loop.time
    loop.time = lambda: now() + seconds  # type: ignore[method-assign]


def denying(*operations: str) -> dict[str, Any]:
    return {"name": "denied", "connector": "pagerduty", "deny": list(operations)}


def connector_on(account: Sandbox) -> PagerDutyConnector:
    """Return a connector to an account of the test's own, permitted everything, with its log in memory."""
    return PagerDutyConnector.sandbox(
        policies=[EVERYTHING],
        transport=account.transport(),
        base_url=account.base_url,
        vault=FixedVault(api_key=account.token, requester_email=account.email),
    )


async def trail(pd: PagerDutyConnector) -> list[AuditRecord]:
    """The connector's records so far, without those of policies being loaded."""
    log = pd.backends.audit
    await log.flush()
    return [record async for record in log.records() if record.action_type != "policy.loaded"]


async def decide(
    pd: PagerDutyConnector, approval_id: str, reviewer: str = "ada", approve: bool = True, note: str = ""
) -> ApprovalRequest:
    """Decide a request as a reviewer does, on record."""
    backends = pd.backends
    return await review(backends.approvals, backends.audit, approval_id, reviewer=reviewer, approve=approve, note=note)
