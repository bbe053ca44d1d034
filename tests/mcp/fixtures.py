"""A connector with the tools that the conformance suite's task scenarios call, and a reviewer who approves in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, ClassVar

import httpx
import msgspec
from attrs import evolve

from arx_wrapper import BaseConnector, Config, Operation, Risk, approvals
from arx_wrapper.core.review import review
from arx_wrapper.model import NO_TARGET, NOT_RECOVERABLE, One, Request
from arx_wrapper.vault.fixed import FixedVault

Json = dict[str, Any]
AFTER_APPROVAL = ("slow_compute", "failing_job", "protocol_error_job")
POLICY = [
    {"name": "at once", "connector": "fixtures", "operations": ["greet"], "risk_max": "high", "approval": "none"},
    {
        "name": "asks",
        "connector": "fixtures",
        "operations": list(AFTER_APPROVAL),
        "risk_max": "high",
        "approval": "hitl",
    },
]


def _write(name: str) -> Operation:
    return Operation(
        name=name, method="POST", path=f"/{name}", risk=Risk.MEDIUM, function=name, endpoint=name, summary=name,
        returns=One("said"), body=dict, effects=lambda params: (), target_state=NO_TARGET, recovery=NOT_RECOVERABLE,
    )  # fmt: skip


GREET = Operation(
    name="greet", method="GET", path="/greet", risk=Risk.LOW, function="greet", endpoint="greet", summary="Greet",
    returns=One("said"),
)  # fmt: skip


class Fixtures(BaseConnector):
    """The tools of the suite: one that answers at once, and some that wait for a reviewer."""

    connector: ClassVar[str] = "fixtures"
    operations: ClassVar[Mapping[str, Operation]] = {row.name: row for row in (GREET, *map(_write, AFTER_APPROVAL))}

    async def greet(self, *, name: str) -> Json:
        """Greet somebody."""
        return await self.execute("greet", {"name": name})

    async def slow_compute(self, *, seconds: int, label: str | None = None) -> Json:
        """Compute something, once a reviewer has approved, who takes so many seconds."""
        return await self.execute("slow_compute", {"seconds": seconds, "label": label})

    async def failing_job(self) -> Json:
        """Fail, once a reviewer has approved."""
        return await self.execute("failing_job")

    async def protocol_error_job(self) -> Json:
        """Fail, once a reviewer has approved."""
        return await self.execute("protocol_error_job")

    def build_request(self, operation: Operation, params: Mapping[str, Any]) -> Request:
        query = () if operation.writes else tuple((name, str(value)) for name, value in params.items())
        body = dict(params) if operation.writes else None
        return Request(
            method=operation.method, path=operation.path, query=query, json=body, operation_id=operation.name
        )


def api(request: httpx.Request) -> httpx.Response:
    """The API behind the connector."""
    if request.url.path == "/greet":
        return httpx.Response(200, json={"said": {"text": f"Hello, {request.url.params['name']}!"}})
    if request.url.path == "/slow_compute":
        return httpx.Response(200, json={"said": {"text": "done"}})
    return httpx.Response(400, json={"error": {"message": "The job fails, as it is meant to.", "code": 1}})


@asynccontextmanager
async def fixtures(folder: Any) -> AsyncIterator[Fixtures]:
    """The connector, with a reviewer beside it."""
    address = f"sqlite:///{folder}/audit.db"
    waiting = approvals.open(address, proof="name")
    connector = Fixtures(
        "suite", "acme", policies=POLICY, audit=address, approvals=waiting,
        vault=FixedVault(api_key="k", requester_email="suite@example.com"),
        base_url="https://fixtures.example.com", transport=httpx.MockTransport(api),
        config=evolve(Config.load(), approvals_mode="raise"),
    )  # fmt: skip
    async with aclosing(waiting), connector:
        reviewing = asyncio.create_task(_review(connector))
        try:
            yield connector
        finally:
            reviewing.cancel()
            with suppress(asyncio.CancelledError):
                await reviewing


async def _review(connector: Fixtures) -> None:
    """Approve each request once its call's `seconds` have passed."""
    waiting, log = connector.backends.approvals, connector.backends.audit
    while True:
        for request in await waiting.list(state="pending"):
            waited = (connector.backends.clock() - request.created_at).total_seconds()
            if waited >= msgspec.json.decode(request.params).get("seconds", 0):
                await review(waiting, log, request.id, reviewer="alice", approve=True)
        await asyncio.sleep(0.1)
