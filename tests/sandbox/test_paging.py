"""Lists, as PagerDuty pages, filters and orders them."""

from __future__ import annotations

from typing import Any

import pytest

from arx_wrapper.sandbox import Sandbox
from tests.sandbox.api import Api, ids


async def test_a_page_has_25_by_default_and_100_at_most(sandbox: Sandbox, api: Api) -> None:
    sandbox.add_incidents(200)
    first = await api("GET", "/incidents")
    assert (len(first["incidents"]), first["limit"], first["offset"], first["more"]) == (25, 25, 0, True)
    assert len((await api("GET", "/incidents", limit=500))["incidents"]) == 100


async def test_total_is_null_unless_asked_for(api: Api) -> None:
    assert (await api("GET", "/users"))["total"] is None
    assert (await api("GET", "/users", total="true", limit=2))["total"] == 7


async def test_pages_put_together_are_the_list(api: Api) -> None:
    whole = ids((await api("GET", "/incidents", limit=100))["incidents"])
    parts: list[str] = []
    for offset in range(0, 50, 10):
        page = await api("GET", "/incidents", limit=10, offset=offset)
        parts += ids(page["incidents"])
        assert page["more"] == (offset + 10 < len(whole))
    assert parts == whole


@pytest.mark.parametrize(("limit", "offset"), [(1, 10_000), (100, 9_901), (25, 9_976)])
async def test_nothing_beyond_10000_can_be_reached(api: Api, limit: int, offset: int) -> None:
    assert await api.refused("GET", "/incidents", limit=limit, offset=offset) == 2002
    await api("GET", "/incidents", limit=limit, offset=offset - 1)


@pytest.mark.parametrize("wrong", [{"limit": "0"}, {"limit": "-1"}, {"limit": "x"}, {"offset": "-1"}])
async def test_a_limit_that_is_no_number_is_refused(api: Api, wrong: dict[str, Any]) -> None:
    assert await api.refused("GET", "/users", **wrong) == 2001


async def test_a_query_is_a_substring_in_any_case(api: Api) -> None:
    names = [team["name"] for team in (await api("GET", "/teams", query="PLAT"))["teams"]]
    assert names == ["Platform"]


async def test_sorting_takes_two_fields_and_a_direction(api: Api) -> None:
    listed = (await api("GET", "/incidents", sort_by="urgency:desc,created_at:asc", limit=100))["incidents"]
    keys = [(incident["urgency"] == "high", incident["created_at"]) for incident in listed]
    assert keys == sorted(keys)
    for wrong in ("title", "urgency:up", "urgency,created_at,resolved_at"):
        assert await api.refused("GET", "/incidents", sort_by=wrong) == 2001


async def test_included_resources_are_written_out(api: Api) -> None:
    [policy] = (await api("GET", "/escalation_policies", limit=1, include_list=["targets", "teams"]))[
        "escalation_policies"
    ]
    assert policy["teams"][0]["type"] == "team"
    assert policy["teams"][0]["default_role"] == "manager"
    assert {t["type"] for rule in policy["escalation_rules"] for t in rule["targets"]} == {"user", "schedule"}


async def test_times_are_shown_in_the_zone_asked_for(api: Api) -> None:
    utc = (await api("GET", "/incidents", limit=1))["incidents"][0]["created_at"]
    shown = (await api("GET", "/incidents", limit=1, time_zone="Asia/Kolkata"))["incidents"][0]["created_at"]
    assert utc.endswith("Z")
    assert shown.endswith("+05:30")
    assert await api.refused("GET", "/incidents", time_zone="Mars/Olympus") == 2001
