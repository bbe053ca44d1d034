"""A connector for another API: the doors of a building, with the same policy, approvals and audit log.

python examples/other_connector.py
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from contextlib import aclosing
from typing import Annotated, Any, ClassVar

import httpx
from attrs import evolve
from msgspec import Meta

from arx_wrapper import (
    ApprovalPendingError,
    BaseConnector,
    Config,
    Operation,
    PermissionDeniedError,
    Risk,
    approvals,
    audit,
)
from arx_wrapper.core.review import review
from arx_wrapper.model import NO_TARGET, NOT_RECOVERABLE, Many, One, Request
from arx_wrapper.params import Id
from arx_wrapper.vault.fixed import FixedVault

Minutes = Annotated[int, Meta(ge=1, le=60, description="1 to 60 minutes")]
Json = dict[str, Any]

READ = Operation(
    name="doors:read", method="GET", path="/doors", risk=Risk.LOW,
    function="list_doors", endpoint="list_doors", summary="List the doors", returns=Many("doors"),
)  # fmt: skip
UNLOCK = Operation(
    name="doors:unlock", method="PUT", path="/doors/{door_id}/lock", risk=Risk.HIGH,
    function="unlock_door", endpoint="unlock_door", summary="Unlock a door for a while", returns=One("door"),
    body=lambda params: {"locked": False, "minutes": params["minutes"]}, effects=lambda params: (),
    target_state=NO_TARGET, recovery=NOT_RECOVERABLE,
)  # fmt: skip


class Doors(BaseConnector):
    """The doors of a building, governed."""

    connector: ClassVar[str] = "doors"
    operations: ClassVar[Mapping[str, Operation]] = {row.name: row for row in (READ, UNLOCK)}

    async def list_doors(self) -> list[Json]:
        """List the doors, and whether each is locked."""
        found: list[Json] = (await self.execute("doors:read"))["doors"]
        return found

    async def unlock_door(self, door_id: Id, *, minutes: Minutes) -> Json:
        """Unlock a door; it locks itself again after `minutes`."""
        found: Json = (await self.execute("doors:unlock", {"door_id": door_id, "minutes": minutes}))["door"]
        return found

    def build_request(self, operation: Operation, params: Mapping[str, Any]) -> Request:
        """Built here, where a generated client would have a module for each endpoint."""
        body = operation.body(params) if operation.body else None
        path = operation.path.format_map(params)
        return Request(method=operation.method, path=path, json=body, operation_id=operation.name)


POLICY = [
    {
        "name": "night-watch",
        "connector": "doors",
        "operations": ["doors:*"],
        "risk_max": "high",
        "approval": {"high": "hitl"},
        "agents": ["watchman"],
    }
]


async def building(request: httpx.Request) -> httpx.Response:
    """The API, as a test would have it: one door."""
    door = {"id": "D1", "locked": request.method != "PUT"}
    return httpx.Response(200, json={"door": door} if request.method == "PUT" else {"doors": [door]})


async def main(folder: str) -> None:
    url = f"sqlite:///{folder}/audit.db"
    async with aclosing(audit.open(url)) as log, aclosing(approvals.open(url, proof="name")) as waiting:
        await show(log, waiting)


async def show(log: audit.AuditLog, waiting: approvals.Approvals) -> None:
    options: dict[str, Any] = {
        "policies": POLICY,
        "audit": log,
        "approvals": waiting,
        "vault": FixedVault(api_key="key-of-the-building", requester_email="watch@example.com"),
        "base_url": "https://doors.example.com",
        "transport": httpx.MockTransport(building),
        "config": evolve(Config.load(), approvals_mode="raise"),
    }
    async with Doors("visitor", "acme", **options) as doors:
        try:
            await doors.list_doors()
        except PermissionDeniedError as denied:
            print("visitor: ", denied)
    async with Doors("watchman", "acme", **options) as doors:
        print("watchman:", await doors.list_doors())
        approval_id = ""
        try:
            await doors.unlock_door("D1", minutes=5)
        except ApprovalPendingError as pending:
            print("watchman:", pending)
            approval_id = str(pending.approval_id)
        await review(waiting, log, approval_id, reviewer="alice", approve=True)
        call = {"door_id": "D1", "minutes": 5}
        print("watchman:", await doors.execute("doors:unlock", call, approval_id=approval_id))
    verified = await log.verify()
    print(f"audit:    {verified.records} records, {'the chain holds' if verified.ok else verified.problem}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(main(temporary))
