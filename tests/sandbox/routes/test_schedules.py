"""Schedules and who is on call."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from arx_wrapper.sandbox import Sandbox
from tests.sandbox.api import Api, ids


async def test_layers_are_listed_on_demand_only(api: Api) -> None:
    [short, *_] = (await api("GET", "/schedules"))["schedules"]
    [whole, *_] = (await api("GET", "/schedules", include_list=["final_schedule"]))["schedules"]
    assert "final_schedule" not in short
    assert whole["final_schedule"]["rendered_schedule_entries"]
    assert short["escalation_policies"]


async def test_a_schedule_is_rendered_without_gaps(sandbox: Sandbox, api: Api) -> None:
    schedule = (await api("GET", "/schedules"))["schedules"][0]["id"]
    since = sandbox.clock.now()
    until = since + timedelta(days=20)
    span: dict[str, Any] = {"since": since.isoformat(), "until": until.isoformat()}
    whole = (await api("GET", f"/schedules/{schedule}", **span))["schedule"]
    entries = whole["final_schedule"]["rendered_schedule_entries"]
    edges = [(datetime.fromisoformat(e["start"]), datetime.fromisoformat(e["end"])) for e in entries]
    assert (edges[0][0], edges[-1][1]) == (since, until)
    assert all(end == start for (_, end), (start, _) in pairwise(edges))
    over = (await api("GET", f"/schedules/{schedule}", overflow="true", **span))["schedule"]
    first = over["final_schedule"]["rendered_schedule_entries"][0]
    assert datetime.fromisoformat(first["start"]) < since


async def test_the_rotation_hands_over(sandbox: Sandbox, api: Api) -> None:
    async def first_level() -> list[str]:
        entries = (await api("GET", "/oncalls", limit=100))["oncalls"]
        return [entry["user"]["id"] for entry in entries if entry["escalation_level"] == 1]

    before = await first_level()
    sandbox.advance(timedelta(days=7))
    after = await first_level()
    assert len(before) == len(after) == 3
    assert before != after


async def test_the_next_turn_of_a_user_is_told(sandbox: Sandbox, api: Api) -> None:
    schedule = (await api("GET", "/schedules"))["schedules"][0]
    path, user = f"/schedules/{schedule['id']}", schedule["users"][1]["id"]
    told = (await api("GET", path, include_next_oncall_for_user=user))["schedule"]["next_oncall_for_user"]
    assert told["user"]["id"] == user
    sandbox.advance(datetime.fromisoformat(told["start"]) - sandbox.clock.now())
    [entry, *_] = (await api("GET", "/oncalls", schedule_ids_list=[schedule["id"]]))["oncalls"]
    assert (entry["user"]["id"], entry["start"]) == (user, told["start"])
    nobody = (await api("GET", path, include_next_oncall_for_user="PNONE"))["schedule"]
    assert nobody["next_oncall_for_user"] is None


async def test_on_calls_without_schedule_are_for_ever(api: Api) -> None:
    entries = (await api("GET", "/oncalls"))["oncalls"]
    permanent = [entry for entry in entries if entry["schedule"] is None]
    assert permanent
    assert all(entry["start"] is None and entry["end"] is None for entry in permanent)
    assert all(entry["start"] < entry["end"] for entry in entries if entry["schedule"])


async def test_on_calls_are_filtered(api: Api) -> None:
    every = (await api("GET", "/oncalls", limit=100))["oncalls"]
    for name, member in (
        ("user_ids", "user"),
        ("escalation_policy_ids", "escalation_policy"),
        ("schedule_ids", "schedule"),
    ):
        wanted = next(entry[member]["id"] for entry in every if entry[member])
        narrowed: dict[str, Any] = {f"{name}_list": [wanted]}
        found = (await api("GET", "/oncalls", limit=100, **narrowed))["oncalls"]
        assert found == [entry for entry in every if entry[member] and entry[member]["id"] == wanted]


async def test_earliest_keeps_one_for_each_policy_level_and_user(sandbox: Sandbox, api: Api) -> None:
    until = (sandbox.clock.now() + timedelta(days=80)).isoformat()
    every = (await api("GET", "/oncalls", limit=100, until=until))["oncalls"]
    earliest = (await api("GET", "/oncalls", limit=100, until=until, earliest="true"))["oncalls"]
    keys = [(e["escalation_policy"]["id"], e["escalation_level"], e["user"]["id"]) for e in earliest]
    assert len(keys) == len(set(keys)) < len(every)


async def test_on_calls_look_90_days_ahead_at_most(sandbox: Sandbox, api: Api) -> None:
    until = (sandbox.clock.now() + timedelta(days=91)).isoformat()
    assert await api.refused("GET", "/oncalls", until=until) == 2001


async def test_the_users_of_on_calls_can_be_included(api: Api) -> None:
    entry = (await api("GET", "/oncalls", include_list=["users"]))["oncalls"][0]
    assert entry["user"]["email"].endswith("@example.com")
    assert entry["user"]["id"] in ids((await api("GET", "/users", limit=100))["users"])
