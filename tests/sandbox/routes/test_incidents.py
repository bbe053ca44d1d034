"""Incidents: listing, looking up, creating."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from arx_wrapper.sandbox import Sandbox
from tests.sandbox.api import JSON, Api, ids, ref


async def user_id(api: Api, email: str) -> str:
    return str((await api("GET", "/users", query=email))["users"][0]["id"])


async def listed(api: Api, **params: Any) -> list[JSON]:
    return list((await api("GET", "/incidents", limit=100, **params))["incidents"])


async def test_the_list_spans_a_month_unless_told_otherwise(sandbox: Sandbox, api: Api) -> None:
    now = len(await listed(api))
    sandbox.advance(timedelta(days=40))
    assert await listed(api) == []
    assert len(await listed(api, date_range="all")) == now
    now_there, day = sandbox.clock.now(), timedelta(days=1)
    since, until = (now_there - 80 * day).isoformat(), now_there.isoformat()
    assert len(await listed(api, since=since, until=until)) == now


async def test_one_bound_alone_reaches_a_month_and_says_nothing_of_the_rest(sandbox: Sandbox, api: Api) -> None:
    now = len(await listed(api))
    sandbox.advance(timedelta(days=200))
    day = timedelta(days=1)
    first = sandbox.clock.now() - 230 * day
    assert len(await listed(api, since=first.isoformat())) == now  # 230 days, and no refusal
    assert await listed(api, since=(first - 40 * day).isoformat()) == []
    assert await listed(api, since=(sandbox.clock.now() - 170 * day).isoformat()) == []
    assert len(await listed(api, until=(first + 31 * day).isoformat())) == now
    assert await listed(api, until=(first + 80 * day).isoformat()) == []
    assert await listed(api, until=first.isoformat()) == []


async def test_a_span_of_more_than_six_months_is_refused(api: Api) -> None:
    assert await api.refused("GET", "/incidents", since="2024-01-01T00:00:00Z", until="2024-08-01T00:00:00Z") == 2001
    await api("GET", "/incidents", since="2024-01-01T00:00:00Z", date_range="all")
    assert await api.refused("GET", "/incidents", since="yesterday") == 2001


async def test_two_spans_that_meet_share_no_incident(api: Api) -> None:
    whole = await listed(api)
    middle = whole[len(whole) // 2]["created_at"]
    before, after = await listed(api, until=middle), await listed(api, since=middle)
    assert ids(before) + ids(after) == ids(whole)


async def test_filters_narrow_the_list_together(api: Api) -> None:
    both = await listed(api, statuses_list=["triggered", "acknowledged"], urgencies_list=["high"])
    assert both
    assert {incident["urgency"] for incident in both} == {"high"}
    assert "resolved" not in {incident["status"] for incident in both}
    of_service = await listed(api, service_ids_list=["PABC123"], statuses_list=["triggered"])
    assert ids(of_service) == ["P1234AB"]
    assert await api.refused("GET", "/incidents", statuses_list=["open"]) == 2001


async def test_a_filter_by_user_never_finds_resolved_ones(api: Api) -> None:
    user = await user_id(api, "dmitri.sokol@example.com")
    incident = await api.create(assignments=[{"assignee": ref("user", user)}])
    assert ids(await listed(api, user_ids_list=[user])) == [incident["id"]]
    await api.change(incident, status="resolved")
    assert await listed(api, user_ids_list=[user], statuses_list=["resolved"]) == []


async def test_an_incident_is_found_by_id_and_by_number(api: Api) -> None:
    incident = (await api("GET", "/incidents/P1234AB"))["incident"]
    again = (await api("GET", f"/incidents/{incident['incident_number']}"))["incident"]
    assert again == incident
    assert await api.refused("GET", "/incidents/PNOTHING", status=404) == 2100


async def test_a_new_incident_is_triggered_and_assigned_by_its_policy(api: Api) -> None:
    incident = await api.create(body={"type": "incident_body", "details": "why"})
    assert (incident["status"], incident["assigned_via"]) == ("triggered", "escalation_policy")
    [oncall] = (await api("GET", "/oncalls", escalation_policy_ids_list=[incident["escalation_policy"]["id"]]))[
        "oncalls"
    ][:1]
    assert incident["assignments"][0]["assignee"]["id"] == oncall["user"]["id"]
    assert (await api("GET", "/services/PABC123"))["service"]["last_incident_timestamp"] == incident["created_at"]


async def test_the_body_is_shown_on_demand_only(api: Api) -> None:
    incident = await api.create(body={"type": "incident_body", "details": "why"})
    assert "body" not in incident
    shown = (await api("GET", f"/incidents/{incident['id']}", include_list=["body"]))["incident"]
    assert shown["body"]["details"] == "why"


async def test_an_open_key_is_not_used_twice_on_a_service(api: Api) -> None:
    first = await api.create(incident_key="lag")
    duplicate = {
        "type": "incident",
        "title": "t",
        "service": ref("service", "PABC123"),
        "incident_key": "lag",
    }
    assert await api.refused("POST", "/incidents", {"incident": duplicate}) == 2002
    other = (await api("GET", "/services"))["services"][0]["id"]
    await api.create(incident_key="lag", service=ref("service", other))
    await api.change(first, status="resolved")
    await api.create(incident_key="lag")
    assert len(await listed(api, incident_key="lag")) == 3


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"title": ""}, 2001),
        ({"title": None}, 2001),
        ({"type": "incident_reference"}, 2001),
        ({"service": None}, 2001),
        ({"service": ref("service", "PNONE")}, 2002),
        ({"urgency": "medium"}, 2001),
        ({"priority": ref("priority", "PNONE")}, 1020),
        ({"escalation_policy": ref("escalation_policy", "PNONE")}, 1014),
        ({"assignments": [{"assignee": ref("user", "PNONE")}]}, 1007),
    ],
)
async def test_a_wrong_new_incident_is_refused_and_leaves_nothing(api: Api, members: JSON, code: int) -> None:
    before = len(await listed(api))
    incident = {"type": "incident", "title": "t", "service": ref("service", "PABC123"), **members}
    assert await api.refused("POST", "/incidents", {"incident": incident}) == code
    assert len(await listed(api)) == before


async def test_assignments_and_policy_exclude_each_other(api: Api) -> None:
    user = await user_id(api, "bram.visser@example.com")
    policy = (await api("GET", "/escalation_policies"))["escalation_policies"][0]
    incident = {
        "type": "incident",
        "title": "t",
        "service": ref("service", "PABC123"),
        "assignments": [{"assignee": ref("user", user)}],
        "escalation_policy": ref("escalation_policy", policy["id"]),
    }
    assert await api.refused("POST", "/incidents", {"incident": incident}) == 2001


async def test_an_incident_given_to_oneself_starts_acknowledged(sandbox: Sandbox, api: Api) -> None:
    me = await user_id(api, sandbox.email)
    incident = await api.create(assignments=[{"assignee": ref("user", me)}])
    assert (incident["status"], incident["assigned_via"]) == ("acknowledged", "direct_assignment")
