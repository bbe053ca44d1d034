"""An agent is offered what policy could permit it, and nothing else."""

from __future__ import annotations

import asyncio
from fnmatch import fnmatchcase
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from mcp import Client
from mcp_types import Tool, ToolListChangedNotification

from arx_wrapper import EXTENSIONS, OPERATIONS, PagerDutyConnector, Risk
from arx_wrapper.mcp.tools import APPROVAL_STATUS, Tools, tool_name
from tests.mcp.conftest import POLICIES, Deployment, Mode
from tests.policy.test_reference import ESCALATED, PERMITTED
from tests.support import ASK_ABOUT_HIGH, EVERYTHING, PATIENCE, denying

EITHER_WAY = pytest.mark.parametrize("transport", ["memory", "http"])
EITHER_ERA = pytest.mark.parametrize("mode", ["auto", "legacy"])


# For the newest version of the table: without it, globs permit no write that came later.
ALL = {**EVERYTHING, "table": max(row.since for row in EXTENSIONS.values())}


def extended(policy: str) -> set[str]:
    """Return the reads outside the table that a reference policy's globs offer."""
    entries = yaml.safe_load((POLICIES / f"{policy}.yaml").read_text())
    return {
        name
        for entry in entries
        for name, row in EXTENSIONS.items()
        if any(fnmatchcase(name, glob) for glob in entry.get("operations", ()))
        and not row.writes
        and row.risk <= Risk[entry["risk_max"].upper()]
    }


def test_the_readers_own_user_is_an_extension_that_the_reference_policies_come_to_include() -> None:
    assert {policy: "users:read_me" in extended(policy) for policy in PERMITTED} == {
        "pd-incident-responder": True,
        "pd-oncall-readonly": True,
        "pd-full-admin": True,
        "pd-no-maintenance": False,
    }


async def names(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools(cache_mode="refresh")).tools]


@EITHER_WAY
@pytest.mark.parametrize("policy", PERMITTED)
async def test_exactly_the_tools_that_a_reference_policy_permits(
    deployment: Deployment, policy: str, transport: str
) -> None:
    deployment.policy.write_text((POLICIES / f"{policy}.yaml").read_text())
    possible = PERMITTED[policy] | ESCALATED.get(policy, set())
    expected = [tool_name(name) for name in OPERATIONS if name in possible]
    expected += [tool_name(name) for name in EXTENSIONS if name in extended(policy)]
    async with getattr(deployment, transport)() as client:
        assert await names(client) == expected + [APPROVAL_STATUS] * (policy in ESCALATED)


@EITHER_WAY
@EITHER_ERA
async def test_the_list_follows_the_policy_and_clients_are_told(
    deployment: Deployment, transport: str, mode: Mode
) -> None:
    told = asyncio.Event()

    async def heard(message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            told.set()

    deployment.adopt(ALL)
    async with getattr(deployment, transport)(mode=mode, client={"message_handler": heard}) as client:
        assert await names(client) == [tool_name(name) for name in (*OPERATIONS, *EXTENSIONS)]
        async with _listening(client, mode, told):
            deployment.adopt(ALL, denying("services:*", "users:*"))
            await asyncio.wait_for(told.wait(), PATIENCE)
        left = [name for name in (*OPERATIONS, *EXTENSIONS) if not name.startswith(("services:", "users:"))]
        assert await names(client) == [tool_name(name) for name in left]


class _listening:  # noqa: N801 - read as a verb
    """Subscribes where the protocol wants that; earlier ones tell everybody."""

    def __init__(self, client: Client, mode: Mode, told: asyncio.Event) -> None:
        self._client, self._mode, self._told = client, mode, told

    async def __aenter__(self) -> None:
        await asyncio.sleep(0.3)  # so that an earlier protocol's client is known to be there
        self._task = asyncio.create_task(self._listen()) if self._mode == "auto" else None
        if self._task:
            self._subscribed = asyncio.Event()
            await asyncio.wait_for(self._subscribed.wait(), PATIENCE)

    async def _listen(self) -> None:
        async with self._client.listen(tools_list_changed=True) as events:
            self._subscribed.set()
            async for _ in events:
                self._told.set()
                return

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            await self._task


async def test_a_policy_that_breaks_leaves_the_list_as_it_was(deployment: Deployment) -> None:
    async with deployment.memory() as client:
        before = await names(client)
        deployment.policy.write_text("- nonsense")
        await asyncio.sleep(1)
        assert await names(client) == before


async def offered(*policies: dict[str, Any]) -> dict[str, Tool]:
    async with PagerDutyConnector.sandbox(policies=list(policies)) as pd:
        return {tool.name: tool for tool in Tools(pd).offered()}


async def test_hints_follow_the_table() -> None:
    tools = await offered(EVERYTHING)
    for row in OPERATIONS.values():
        hints = tools[tool_name(row.name)].annotations
        assert hints is not None
        assert (hints.read_only_hint is True) is not row.writes
        assert (hints.idempotent_hint is True) is (row.method in ("PUT", "DELETE"))  # reads are, whatever it says
        assert hints.destructive_hint is not False or row.risk is not Risk.HIGH
    destroying = {
        name
        for name, tool in tools.items()
        if (hints := tool.annotations) and not hints.read_only_hint and hints.destructive_hint is not False
    }
    assert {"services_delete", "maintenance_create", "incidents_resolve", "escalation_update"} <= destroying
    assert not {"incidents_acknowledge", "incidents_add_note", "incidents_create"} & destroying


async def test_descriptions_say_the_effect_the_risk_and_whether_a_reviewer_is_asked() -> None:
    tools = await offered(ASK_ABOUT_HIGH)
    described = {name: tool.description or "" for name, tool in tools.items()}
    assert described["maintenance_create"].startswith("Silence services between two times")
    assert "Risk: HIGH. A reviewer has to approve." in described["maintenance_create"]
    assert "Risk: MEDIUM. A reviewer has to approve, depending on the call." in described["services_update"]
    assert described["incidents_read"] == "List incidents, by default those of the last month."
    assert not [text for text in described.values() if "NULL" in text]


async def test_only_what_a_reviewer_may_be_asked_about_takes_an_approval() -> None:
    tools = await offered(ASK_ABOUT_HIGH)
    for row in OPERATIONS.values():
        found = tools[tool_name(row.name)].input_schema
        Draft202012Validator.check_schema(found)
        assert ({"approval_id", "wait_seconds"} <= found["properties"].keys()) is row.writes
    assert all("approval_id" not in tool.input_schema["properties"] for tool in (await offered(EVERYTHING)).values())


@pytest.mark.parametrize(
    ("policies", "reason"),
    [([], "no policy is configured"), ([EVERYTHING, denying("*")], "denied"), ([EVERYTHING], None)],
)
async def test_why_no_tool_is_offered_is_said(policies: list[dict[str, Any]], reason: str | None) -> None:
    async with PagerDutyConnector.sandbox(policies=policies) as pd:
        said = Tools(pd).why_none()
    assert (said is None) is (reason is None)
    assert reason is None or reason in str(said)


async def test_names_keep_operations_apart_and_are_taken_by_all_clients() -> None:
    found = {tool_name(name) for name in OPERATIONS}
    assert len(found) == len(OPERATIONS)
    assert all(name.replace("_", "").isalnum() and len(name) <= 64 for name in found)
