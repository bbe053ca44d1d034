"""Give a test its own PagerDuty account, connectors to it, and reviewers that decide in code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from arx_wrapper.config import MEMORY, Config
from arx_wrapper.core.review import review
from arx_wrapper.pagerduty.connector import PagerDutyConnector
from arx_wrapper.sandbox import Faults, Options, Recorded, Sandbox
from arx_wrapper.vault.fixed import FixedVault

if TYPE_CHECKING:
    from arx_wrapper.approvals import ApprovalRequest
    from arx_wrapper.audit import AuditRecord

PERMIT_ALL: Final[dict[str, Any]] = {
    "name": "permit-all",
    "connector": "pagerduty",
    "operations": ["*"],
    "risk_max": "high",
    "approval": "none",
    "show": ["*"],
}
"""A policy entry that permits every operation and hides nothing, for tests that do not concern policy."""

_LOOK_EVERY: Final = 0.02


class PagerDutyKit:
    """A new account for one test, and all that a test does with it.

    Args:
        seed: Determines ids and history; the same seed gives the same account.
        clock: Returns the account's time, aware; by default it starts at 2025-06-01T12:00:00Z and runs.

    Attributes:
        account: The account, `arx_wrapper.sandbox.Sandbox`: with the service `PABC123` and the open incident `P1234AB`.
    """

    def __init__(self, seed: int | None = None, clock: Callable[[], datetime] | None = None) -> None:
        self.account = Sandbox(seed, clock)

    @property
    def faults(self) -> Faults:
        """Return the faults to inject: `pagerduty.faults.rate_limited()`."""
        return self.account.faults

    @property
    def options(self) -> Options:
        """Return the options for behaviour that PagerDuty does not document."""
        return self.account.options

    @property
    def requests(self) -> list[Recorded]:
        """Return the requests that arrived, oldest first, without credentials."""
        return self.account.requests

    def sent(self, method: str, path: str) -> Recorded:
        """Return the last request of a method and path.

        Raises:
            AssertionError: there is none; the message lists those that arrived.
        """
        for request in reversed(self.requests):
            if (request.method, request.path) == (method, path):
                return request
        arrived = ", ".join(f"{request.method} {request.path}" for request in self.requests) or "nothing"
        raise AssertionError(f"no {method} {path} arrived, but {arrived}")

    def advance(self, **by: float) -> None:
        """Move the account's clock forward, as `advance(minutes=30)`; events due by then happen."""
        self.account.advance(timedelta(**by))

    def connector(
        self,
        agent_id: str = "agent-test",
        org_id: str = "org-test",
        *,
        policies: str | Sequence[Mapping[str, Any]] | None = None,
        approvals_mode: str = "wait",
        **options: Any,
    ) -> PagerDutyConnector:
        """Return a governed connector to the account. Close it: `async with pagerduty.connector() as pd`.

        Args:
            agent_id, org_id: The agent that calls, and its organisation.
            policies: The connector's policies; by default every operation is permitted.
            approvals_mode: `wait` for a reviewer, or `raise` `ApprovalPendingError`.
            options: Any other argument of the connector.
        """
        config = options.pop("config", None) or Config.load({}, audit_default=MEMORY)
        given: dict[str, Any] = {
            "policies": [PERMIT_ALL] if policies is None else policies,
            "vault": FixedVault(api_key=self.account.token, requester_email=self.account.email),
            "transport": self.account.transport(),
            "base_url": self.account.base_url,
            "config": evolve(config, sandbox=True, approvals_mode=approvals_mode),
        }
        return PagerDutyConnector(agent_id, org_id, **{**given, **options})

    async def decide(
        self,
        connector: PagerDutyConnector,
        approval_id: str,
        approve: bool = True,
        *,
        reviewer: str = "reviewer",
        note: str = "",
    ) -> ApprovalRequest:
        """Decide a request for approval as a reviewer; the decision is recorded in the audit log.

        Raises:
            ApprovalError: this reviewer may not decide it, or it has ended.
        """
        backends = connector.backends
        return await review(
            backends.approvals, backends.audit, approval_id, reviewer=reviewer, approve=approve, note=note
        )

    @asynccontextmanager
    async def reviewing(
        self,
        connector: PagerDutyConnector,
        decide: Callable[[ApprovalRequest], bool] = lambda request: True,
        *,
        reviewer: str = "reviewer",
    ) -> AsyncIterator[list[ApprovalRequest]]:
        """Decide every request for approval as it arrives, so that waiting calls continue.

        Args:
            connector: The connector whose requests are decided.
            decide: Returns True to approve a request.
            reviewer: The name of the reviewer.

        Yields:
            The requests decided so far; the list grows.
        """
        decided: list[ApprovalRequest] = []

        async def review_all() -> None:
            while True:
                for request in await connector.backends.approvals.list(state="pending"):
                    await self.decide(connector, request.id, decide(request), reviewer=reviewer)
                    decided.append(request)
                await asyncio.sleep(_LOOK_EVERY)

        working = asyncio.create_task(review_all())
        try:
            yield decided
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working

    async def records(self, connector: PagerDutyConnector) -> list[AuditRecord]:
        """Return the records of the connector's audit log, oldest first."""
        log = connector.audit
        await log.flush()
        return [record async for record in log.records()]
