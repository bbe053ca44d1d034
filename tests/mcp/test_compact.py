"""Answers are small by default, whole on demand, sent once, and say how much is left of a list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from attrs import evolve

from arx_wrapper import OPERATIONS, PagerDutyConnector
from arx_wrapper.mcp.compact import compact
from arx_wrapper.mcp.tools import Tools
from tests.mcp.conftest import structured
from tests.mcp.test_calls import never
from tests.support import EVERYTHING, trail

ALL = {"date_range": "all"}


@pytest.fixture
async def pd() -> AsyncIterator[PagerDutyConnector]:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as connector:
        assert connector.sandbox_account
        connector.sandbox_account.clock.now = lambda: datetime(2025, 6, 1, 12, tzinfo=UTC)  # type: ignore[method-assign]
        yield connector


async def call(pd: PagerDutyConnector, tool: str, arguments: dict[str, Any], **options: Any) -> dict[str, Any]:
    return structured(await Tools(pd, **options).call(tool, arguments, never))


@pytest.mark.parametrize(
    ("tool", "key", "arguments", "most"),
    [
        ("incidents_read", "incidents", {**ALL, "limit": 100}, 350),
        ("services_read", "services", {}, 350),
        ("users_read", "users", {}, 266),
        ("incidents_read_alerts", "alerts", {"incident_id": "P1234AB"}, 450),
        ("schedules_read_oncall", "oncalls", {}, 350),
    ],
)
async def test_a_record_of_a_list_is_small(
    pd: PagerDutyConnector, tool: str, key: str, arguments: dict[str, Any], most: int
) -> None:
    records = (await call(pd, tool, arguments))["data"][key]
    assert records
    assert max(len(msgspec.json.encode(record)) for record in records) <= most


async def test_references_keep_id_and_summary_and_nothing_is_empty(pd: PagerDutyConnector) -> None:
    def empties(value: object) -> list[object]:
        below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return [item for item in below if item in (None, "", [], {})] + [e for item in below for e in empties(item)]

    found = (await call(pd, "incidents_read_detail", {"incident_id": "P1234AB"}))["data"]["incident"]
    assert found["service"] == {"id": "PABC123", "summary": "Orders Database"}
    assert [assignee.keys() for assignee in found["assignees"]] == [{"id", "summary"}]
    assert not empties(found)


async def test_fields_choose_members_columns_or_paths_and_unknown_ones_are_named(pd: PagerDutyConnector) -> None:
    asked = {"limit": 1, "fields": ["number", "service.summary", "assignments.assignee", "incident_key", "nonsense"]}
    found = await call(pd, "incidents_read", asked)
    (incident,) = found["data"]["incidents"]
    assert incident.keys() <= set(asked["fields"])  # type: ignore[call-overload]
    assert incident["number"] > 0
    assert isinstance(incident["service.summary"], str)
    assert found["unknown_fields"] == ["nonsense"]


async def test_everything_is_there_on_demand(pd: PagerDutyConnector) -> None:
    whole = await pd.execute("services:read_detail", {"service_id": "PABC123"})
    assert (await call(pd, "services_read_detail", {"service_id": "PABC123", "detail": "full"}))["data"] == whole


async def test_a_list_is_read_past_the_page_size_under_one_permission(pd: PagerDutyConnector) -> None:
    assert pd.sandbox_account
    pd.sandbox_account.add_incidents(400)
    answer = await call(pd, "incidents_read", {"limit": 250}, cap=10**6)
    assert answer["page"]["records"] == 250
    total = 250 + answer["page"]["remaining"]
    assert (answer["page"]["more"], answer["page"]["next_offset"]) == (True, 250)
    rest = await call(pd, "incidents_read", {"limit": 1000, "offset": 250}, cap=10**6)
    assert rest["page"] == {"records": total - 250, "more": False}
    ids = [incident["id"] for page in (answer, rest) for incident in page["data"]["incidents"]]
    assert len(set(ids)) == total == len(ids)
    called = [record for record in await trail(pd) if record.action_type == "connector.called"]
    assert len(called) == 3  # the list, its count, and the rest


async def test_what_does_not_fit_counts_as_remaining(pd: PagerDutyConnector) -> None:
    answer = await call(pd, "incidents_read", {**ALL, "limit": 41}, cap=3_000)
    kept = answer["page"]["records"]
    assert kept < 41
    assert answer["page"] == {"records": kept, "more": True, "remaining": 41 - kept, "next_offset": kept}


async def test_output_schemas_come_with_structured_content_and_no_second_copy(pd: PagerDutyConnector) -> None:
    tools = Tools(pd, output_schemas=True)
    assert all(tool.output_schema for tool in tools.offered())
    result = await tools.call("teams_read", {}, never)
    assert result.content == []
    assert result.structured_content
    assert result.structured_content["data"]["teams"]
    assert not [tool for tool in Tools(pd).offered() if tool.output_schema]


def test_a_row_without_columns_keeps_all_members_but_empty_ones() -> None:
    row = evolve(OPERATIONS["teams:read_detail"], columns=())
    body = {
        "team": {"id": "P1", "name": "A", "parent": None, "self": "x", "default": {"id": "P2", "summary": "B", "c": 1}}
    }
    assert compact(row, body)[0] == {"team": {"id": "P1", "name": "A", "default": {"id": "P2", "summary": "B"}}}


def test_lists_within_lists_keep_their_depth_and_all_items() -> None:
    condition = ["and", ["equals", ["path", "payload", "group"], ""]]
    rule = {"id": "PR", "condition": condition, "actions": [["route", "PS"], ["severity", None]]}
    assert compact(OPERATIONS["rules:read"], {"rules": [rule]})[0] == {"rules": [rule]}


@pytest.mark.parametrize("body", [{}, {"team": None}, {"teams": [None, 7]}, {"team": [1]}])
def test_an_answer_of_another_shape_is_handed_on(body: dict[str, Any]) -> None:
    for name in ("teams:read_detail", "teams:read"):
        assert compact(OPERATIONS[name], body) == (body, [])
    for name in ("services:delete", "rules:create"):
        compact(OPERATIONS[name], body)  # raises nothing
