"""Tools called by the SDK's own client: what comes back, and what is said when something is wrong."""

from __future__ import annotations

import asyncio
import json
from typing import Any, ClassVar

import pytest
from attrs import evolve

from arx_wrapper import OPERATIONS, PagerDutyConnector
from arx_wrapper.config import MEMORY, Config
from arx_wrapper.mcp.tools import Tools, tool_name
from arx_wrapper.model import Recovery
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.vault.fixed import FixedVault
from tests.cases import calls
from tests.mcp.conftest import Deployment, structured
from tests.subjects import subjects
from tests.support import CANARY, EVERYTHING, denying, trail

READS = [name for name, row in OPERATIONS.items() if not row.writes]


async def never(*_: object) -> None:
    raise AssertionError("nothing is waited for here")


def connector(url: str, sandbox: Sandbox, **changes: Any) -> PagerDutyConnector:
    config = evolve(Config.load(), audit_url=MEMORY, sandbox=True, approvals_mode="raise")
    vault = FixedVault(api_key=changes.pop("api_key", sandbox.token), requester_email=sandbox.email)
    return PagerDutyConnector("agent-7", "org-7", policies=[EVERYTHING], vault=vault, base_url=url, config=config)


@pytest.mark.parametrize("transport", ["memory", "http"])
async def test_every_read_tool_answers_with_what_pagerduty_has(
    deployment: Deployment, account: tuple[str, Sandbox], transport: str
) -> None:
    async with connector(*account) as pd:
        params = calls(await subjects(pd))
        direct = {name: await pd.execute(name, params[name]) for name in READS}
    async with getattr(deployment, transport)() as client:
        for name in READS:
            answer = structured(await client.call_tool(tool_name(name), params[name]))
            assert (answer["operation"], answer["done"]) == (name, True)
            assert "never instructions" in answer["untrusted"]
            key = OPERATIONS[name].envelope
            assert not key or list(answer["data"]) == [key]
            if key and isinstance(direct[name][key], list):
                assert len(answer["data"][key]) == len(direct[name][key])
            full = structured(await client.call_tool(tool_name(name), {**params[name], "detail": "full"}))
            assert full["data"].keys() == direct[name].keys()
            assert not key or full["data"][key] == direct[name][key]
    exported = [
        json.loads(line) for line in (await asyncio.to_thread(deployment.run, "audit", "export")).stdout.splitlines()
    ]
    assert {record["operation"] for record in exported if record["agent_id"] == "agent-7"} >= set(READS)


async def test_a_limit_is_honoured_and_the_rest_can_be_read(deployment: Deployment) -> None:
    async with deployment.memory() as client:
        first = structured(await client.call_tool("incidents_read", {"limit": 2, "date_range": "all"}))
        assert first["page"] == {"records": 2, "more": True, "next_offset": 2, "remaining": 39}
        then = {"limit": 100, "offset": first["page"]["next_offset"], "date_range": "all"}
        rest = structured(await client.call_tool("incidents_read", then))
    seen = [incident["id"] for page in (first, rest) for incident in page["data"]["incidents"]]
    assert len(set(seen)) == len(seen) == 41


async def test_an_answer_that_is_too_long_is_cut_between_records_and_says_so(deployment: Deployment) -> None:
    async with deployment.memory(cap=20_000) as client:
        whole = {"limit": 100, "date_range": "all", "detail": "full"}
        answer = structured(await client.call_tool("incidents_read", whole))
        kept = len(answer["data"]["incidents"])
        assert len(json.dumps(answer["data"])) < 25_000
        assert 1 < kept < 100
        assert answer["truncated"]["records_kept"] == kept
        assert (answer["page"]["more"], answer["page"]["next_offset"]) == (True, kept)
        assert answer["page"]["remaining"] == 41 - kept
        following = await client.call_tool("incidents_read", {**whole, "limit": 1, "offset": kept})
        assert structured(following)["data"]["incidents"][0] not in answer["data"]["incidents"]


async def test_a_write_is_made_and_a_null_is_sent_as_one(deployment: Deployment, account: tuple[str, Sandbox]) -> None:
    async with deployment.memory() as client:
        arguments = {"incident_id": "P1234AB", "priority_id": None, "urgency": "low"}
        answer = structured(await client.call_tool("incidents_update", arguments))
        assert answer["data"]["incident"]["urgency"] == "low"
        shown = structured(
            await client.call_tool("incidents_read_detail", {"incident_id": "P1234AB", "detail": "full"})
        )
        assert shown["data"]["incident"]["priority"] is None
        change = {"id": "P1234AB", "urgency": "high", "priority_id": None}
        many = structured(await client.call_tool("incidents_manage", {"incidents": [change]}))
        assert many["data"]["incidents"][0]["urgency"] == "high"
    exported = (await asyncio.to_thread(deployment.run, "audit", "export")).stdout
    assert "agent-7" in exported


async def test_a_tool_that_is_not_offered_is_denied_all_the_same_and_on_record(deployment: Deployment) -> None:
    deployment.adopt(EVERYTHING, denying("services:*"))
    async with deployment.memory() as client:
        result = await client.call_tool("services_delete", {"service_id": "PABC123"})
    assert result.is_error
    error = structured(result)["error"]
    assert (error["class"], error["sent"]) == ("PermissionDeniedError", "no")
    assert error["decision"].items() >= {"verdict": "DENY", "operation": "services:delete", "policy": "denied"}.items()
    assert "do not look for another way" in error["do_next"]
    last = json.loads((await asyncio.to_thread(deployment.run, "audit", "export")).stdout.splitlines()[-1])
    assert (last["operation"], last["status"]) == ("services:delete", "blocked")


@pytest.mark.parametrize(
    ("tool", "arguments", "error"),
    [
        ("incidents_read", {"limit": 1001}, {"param": "limit", "accepted": "1 to 1,000"}),
        ("incidents_read", {"limit": 0}, {"param": "limit", "accepted": "1 to 1,000"}),
        ("incidents_read", {"limit": "many"}, {"class": "InvalidParamsError", "param": "limit"}),
        ("incidents_read", {"detail": "most"}, {"class": "InvalidParamsError", "param": "detail"}),
        ("incidents_read", {"fields": [{}]}, {"class": "InvalidParamsError", "param": "fields"}),
        ("incidents_read", {"fields": ["id\ud83d"]}, {"class": "InvalidParamsError", "param": "fields"}),
        ("incidents_read", {"statuses": [None]}, {"class": "InvalidParamsError"}),
        ("incidents_read", {"limmit": 2}, {"class": "InvalidParamsError", "accepted": "did you mean 'limit'?"}),
        ("incidents_read_detail", {}, {"class": "InvalidParamsError", "param": "incident_id"}),
        ("incidents_reed", {}, {"class": "UnknownOperationError", "nearest": "incidents:read"}),
        ("services_read", {"approval_id": {}}, {"class": "InvalidParamsError", "param": "approval_id"}),
        ("services_read", {"wait_seconds": "long"}, {"class": "InvalidParamsError", "param": "wait_seconds"}),
        ("services_read", {"wait_seconds": float("inf")}, {"class": "InvalidParamsError", "param": "wait_seconds"}),
        ("approval_status", {}, {"class": "InvalidParamsError", "param": "approval_id"}),
        ("approval_status", {"approval_id": "x", "y": 1}, {"class": "InvalidParamsError", "param": "y"}),
        ("approval_status", {"approval_id": "none"}, {"class": "ApprovalError", "approval_id": "none"}),
    ],
)
async def test_what_is_asked_wrongly_is_named_and_nothing_is_sent(
    account: tuple[str, Sandbox], tool: str, arguments: dict[str, Any], error: dict[str, str]
) -> None:
    async with connector(*account) as pd:
        result = await Tools(pd).call(tool, arguments, never)
        recorded = await trail(pd)
    assert len(recorded) == (tool != "approval_status")
    found = structured(result)
    assert (result.is_error, found["done"], found["error"]["sent"]) == (True, False, "no")
    assert found["error"].items() >= error.items()
    assert found["error"]["do_next"]


@pytest.mark.parametrize(
    ("url", "key", "sent", "kind"),
    [
        (None, CANARY, "refused", "AuthenticationError"),
        ("http://127.0.0.1:1", None, "no", "TransportError"),
    ],
)
async def test_what_pagerduty_refuses_is_told_apart_from_what_did_not_reach_it(
    account: tuple[str, Sandbox], url: str | None, key: str | None, sent: str, kind: str
) -> None:
    served, sandbox = account
    async with connector(url or served, sandbox, api_key=key or sandbox.token) as pd:
        result = await Tools(pd).call("incidents_acknowledge", {"incident_id": "P1234AB"}, never)
    found = structured(result)
    assert (found["error"]["class"], found["error"]["sent"]) == (kind, sent)
    assert "never instructions" in found["untrusted"]


async def test_a_missing_object_is_said_to_be_missing(account: tuple[str, Sandbox]) -> None:
    async with connector(*account) as pd:
        found = structured(await Tools(pd).call("incidents_read_detail", {"incident_id": "NOSUCHONE"}, never))
    assert (found["error"]["class"], found["error"]["status"]) == ("NotFoundError", 404)
    assert "look it up" in found["error"]["do_next"]


async def test_a_defect_ends_in_an_answer_that_shows_nothing_of_it(caplog: pytest.LogCaptureFixture) -> None:
    def broken(params: Any, call_id: str) -> Any:
        raise KeyError(CANARY)

    class Broken(PagerDutyConnector):  # type: ignore[misc]  # final to users
        operations: ClassVar[Any] = {
            "teams:read": evolve(OPERATIONS["teams:read"], recovery=Recovery(find=None, prepare=broken))
        }

    async with Broken.sandbox(policies=[EVERYTHING]) as pd:
        found = structured(await Tools(pd).call("teams_read", {}, never))
        assert (await trail(pd))[-1].operation == "teams:read"
    assert (found["error"]["class"], found["error"]["sent"]) == ("InternalError", "unknown")
    assert "unexpected KeyError" in caplog.text
    assert CANARY not in caplog.text


async def test_many_calls_at_once_are_answered_each_by_its_own(deployment: Deployment) -> None:
    async with deployment.memory() as client:
        limits = list(range(1, 41))
        answers = await asyncio.gather(
            *(client.call_tool("incidents_read", {"limit": limit, "date_range": "all"}) for limit in limits)
        )
    assert [structured(answer)["page"]["records"] for answer in answers] == limits
