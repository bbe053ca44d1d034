"""The pipeline of values leaves the records that the one before it left, field by field."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from attrs import evolve

from arx_wrapper import ArxError, Config, PagerDutyConnector, audit
from arx_wrapper.config import MEMORY
from arx_wrapper.core.review import review
from arx_wrapper.sandbox import Fault, Sandbox
from arx_wrapper.sandbox.clock import EPOCH
from arx_wrapper.vault.fixed import FixedVault
from tests.support import ASK_ABOUT_HIGH, EVERYTHING, denying

WINDOW = {
    "start_time": "2025-06-15T02:00:00Z",
    "end_time": "2025-06-15T04:00:00Z",
    "service_ids": ["PABC123"],
}
VARYING = {"id", "seq", "created_at", "prev_hash", "hash", "duration_ms", "approval_id"}
Execute = Callable[..., Awaitable[Any]]
Scenario = Callable[[PagerDutyConnector, Execute, Any], Awaitable[Any]]


def previous(pd: PagerDutyConnector) -> tuple[Execute, Any]:
    return pd._previous_execute, pd._previous_iterate


def present(pd: PagerDutyConnector) -> tuple[Execute, Any]:
    return pd.execute, pd.iterate


def call(operation: Any, params: dict[str, Any] | None = None, **more: Any) -> Scenario:
    async def run(pd: PagerDutyConnector, execute: Execute, iterate: Any) -> None:
        await execute(operation, params, **more)

    return run


async def approved(pd: PagerDutyConnector, execute: Execute, iterate: Any) -> None:
    with suppress(ArxError):
        await execute("maintenance:create", WINDOW)
    (asked,) = await pd._backends.approvals.list("pending")
    with suppress(ArxError):
        await execute("services:delete", {"service_id": "PABC123"}, approval_id=asked.id)
    await review(pd._backends.approvals, pd.audit, asked.id, reviewer="ada", approve=True)
    await execute("maintenance:create", WINDOW, approval_id=asked.id)
    await execute("maintenance:create", WINDOW, approval_id=asked.id)


async def stale(pd: PagerDutyConnector, execute: Execute, iterate: Any) -> None:
    with suppress(ArxError):
        await execute("services:delete", {"service_id": "PABC123"})
    (asked,) = await pd._backends.approvals.list("pending")
    await review(pd._backends.approvals, pd.audit, asked.id, reviewer="ada", approve=True)
    await execute("services:update", {"service_id": "PABC123", "name": "Renamed meanwhile"})
    await execute("services:delete", {"service_id": "PABC123"}, approval_id=asked.id)


async def denied_by_a_reviewer(pd: PagerDutyConnector, execute: Execute, iterate: Any) -> None:
    with suppress(ArxError):
        await execute("services:delete", {"service_id": "PABC123"})
    (asked,) = await pd._backends.approvals.list("pending")
    await review(pd._backends.approvals, pd.audit, asked.id, reviewer="ada", approve=False)
    await execute("services:delete", {"service_id": "PABC123"}, approval_id=asked.id)


async def limited(pd: PagerDutyConnector, execute: Execute, iterate: Any) -> None:
    await execute("users:read")
    await execute("users:read")


async def suspended(pd: PagerDutyConnector, execute: Execute, iterate: Any) -> None:
    await pd.audit.suspend(pd.agent_id, org_id=pd.org_id, by="ada", reason="why not")
    await execute("teams:read")


async def cancelled(pd: PagerDutyConnector, execute: Execute, iterate: Any) -> None:
    assert pd.sandbox_account is not None
    pd.sandbox_account.faults.slow(5)
    sent = asyncio.ensure_future(execute("incidents:add_note", {"incident_id": "P1234AB", "content": "slow"}))
    while not pd.sandbox_account.requests:
        await asyncio.sleep(0.01)
    sent.cancel()
    with suppress(asyncio.CancelledError):
        await sent


async def whole_list(pd: PagerDutyConnector, execute: Execute, iterate: Any) -> None:
    assert [user async for user in iterate("users:read", {"limit": 2})]
    _ = [note async for note in iterate("incidents:read_notes", {"incident_id": "P1234AB"})]
    assert not [user async for user in iterate("users:read", max_items=0)]


async def left_early(pd: PagerDutyConnector, execute: Execute, iterate: Any) -> None:
    users = iterate("users:read", {"limit": 2})
    await anext(users)
    await users.aclose()


async def no_list(pd: PagerDutyConnector, execute: Execute, iterate: Any) -> None:
    async for _ in iterate("users:read_detail", {"user_id": "P1"}):
        pass


async def lost(pd: PagerDutyConnector, execute: Execute, iterate: Any) -> None:
    assert pd.sandbox_account is not None
    pd.sandbox_account.faults.add(Fault(status=503, method="POST", work=True))
    with suppress(ArxError):
        await execute("incidents:create", {"title": "x", "service_id": "PABC123"})
    pd.sandbox_account.faults.add(Fault(status=503, method="PUT"))
    await execute("incidents:resolve", {"incident_id": "P1234AB"})


SCENARIOS: dict[str, tuple[Scenario, dict[str, Any]]] = {
    "a read": (call("users:read"), {}),
    "a write": (call("incidents:acknowledge", {"incident_id": "P1234AB"}), {}),
    "a bulk write": (call("incidents:manage", {"incidents": [{"id": "P1234AB", "status": "resolved"}]}), {}),
    "captured": (call("incidents:add_note", {"incident_id": "P1234AB", "content": "x"}), {"capture_params": True}),
    "denied": (call("incidents:resolve", {"incident_id": "P1234AB"}), {}),
    "an unknown operation": (call("incidents:explode"), {}),
    "no name": (call(["users:read"]), {}),
    "bad parameters": (call("incidents:read", {"status": "x"}), {}),
    "a bad time-out": (call("users:read", timeout=-1), {}),
    "not found": (call("incidents:read_detail", {"incident_id": "NOSUCH"}), {}),
    "no approval": (call("services:delete", {"service_id": "PABC123"}, approval_id="nope"), {}),
    "approved": (approved, {}),
    "stale": (stale, {}),
    "denied by a reviewer": (denied_by_a_reviewer, {}),
    "limited": (limited, {}),
    "suspended": (suspended, {}),
    "cancelled": (cancelled, {}),
    "a whole list": (whole_list, {}),
    "left early": (left_early, {}),
    "no list": (no_list, {}),
    "no requester": (call("incidents:acknowledge", {"incident_id": "P1234AB"}), {"vault": FixedVault(api_key="k")}),
    "a wrong key": (call("users:read"), {"vault": FixedVault(api_key="k")}),
    "lost": (lost, {}),
}


async def records(scenario: Scenario, options: dict[str, Any], how: Any) -> list[dict[str, Any]]:
    account = Sandbox(clock=lambda: EPOCH)
    options = dict(options)
    config = evolve(
        Config.load(audit_default=MEMORY), approvals_mode="raise", capture_params=options.pop("capture_params", False)
    )
    log = audit.open(MEMORY, key=b"k" * 32, allow_memory=True)
    given: dict[str, Any] = {
        "policies": [{**ASK_ABOUT_HIGH, "limits": {"users:read": "1/hour"}}, EVERYTHING, denying("incidents:resolve")],
        "vault": FixedVault(api_key=account.token, requester_email=account.email),
    } | options
    if scenario is lost:
        given["policies"] = [EVERYTHING]
    async with PagerDutyConnector.sandbox(
        transport=account.transport(), base_url=account.base_url, config=config, audit=log, **given
    ) as pd:
        pd.sandbox_account = account
        with suppress(ArxError):
            await scenario(pd, *how(pd))
        await log.flush()
        found = [record async for record in log.records()]
    await log.aclose()
    places = {record.id: record.seq for record in found} | {record.approval_id: "approval" for record in found}
    return [plain(record, places) for record in found]


def plain(record: Any, places: dict[str, Any]) -> dict[str, Any]:
    members: dict[str, Any] = {
        name: value for name, value in msgspec.to_builtins(record).items() if name not in VARYING
    }
    members["approval_id"] = places.get(record.approval_id) if record.approval_id else None
    metadata = members["metadata"]
    metadata.pop("expires_at", None), metadata.pop("digest", None), metadata.pop("at", None)
    if "intent" in metadata:
        metadata["intent"] = places[metadata["intent"]]
    for attempt in metadata.get("attempts", ()):
        attempt["duration_ms"] = attempt["waited_ms"] = 0
    if members["outputs_hash"] and "settled" in metadata:
        members["outputs_hash"] = "some"  # the created incident has a key of the call's own
    return members


@pytest.mark.parametrize("name", SCENARIOS)
async def test_the_records_are_the_same(name: str) -> None:
    scenario, options = SCENARIOS[name]
    before, after = await records(scenario, options, previous), await records(scenario, options, present)
    assert before
    assert after == before
