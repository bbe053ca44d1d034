"""Changes to incidents: transitions, reassignment, bulk, snoozing, merging."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from arx_wrapper.sandbox import Sandbox
from tests.sandbox.api import JSON, Api, ids, ref

REFERENCE = {"id": "P1234AB"}


async def log_types(api: Api, incident: JSON) -> list[str]:
    entries = (await api("GET", f"/incidents/{incident['id']}/log_entries", limit=100))["log_entries"]
    return [entry["type"].removesuffix("_log_entry") for entry in entries]


async def refused(api: Api, incident: JSON, **members: Any) -> int:
    body = {"incident": {"type": "incident_reference", **members}}
    return await api.refused("PUT", f"/incidents/{incident['id']}", body)


async def test_an_incident_runs_from_triggered_to_resolved(api: Api) -> None:
    incident = await api.create()
    acknowledged = await api.change(incident, status="acknowledged")
    assert (acknowledged["status"], len(acknowledged["acknowledgements"])) == ("acknowledged", 1)
    resolved = await api.change(incident, status="resolved", resolution="Replaced the disk")
    assert (resolved["status"], resolved["assignments"], resolved["acknowledgements"]) == ("resolved", [], [])
    assert resolved["resolved_at"] == resolved["last_status_change_at"]
    newest = (await api("GET", f"/incidents/{incident['id']}/log_entries"))["log_entries"][0]
    assert (newest["type"], newest["note"]) == ("resolve_log_entry", "Replaced the disk")
    assert await log_types(api, incident) == ["resolve", "acknowledge", "notify", "assign", "trigger"]


async def test_doing_it_twice_is_refused(api: Api) -> None:
    await api.change(REFERENCE, status="acknowledged")
    assert await refused(api, REFERENCE, status="acknowledged") == 1002
    await api.change(REFERENCE, status="resolved")
    assert await refused(api, REFERENCE, status="resolved") == 1001
    assert await refused(api, REFERENCE, status="closed") == 1003


async def test_somebody_else_can_acknowledge_as_well(api: Api) -> None:
    await api.change(REFERENCE, status="acknowledged")
    api.client.headers["From"] = "chiara.fontana@example.com"
    incident = await api.change(REFERENCE, status="acknowledged")
    names = [a["acknowledger"]["summary"] for a in incident["acknowledgements"]]
    assert names == ["Oncall Bot", "Chiara Fontana"]


@pytest.mark.parametrize("status", ["triggered", "acknowledged"])
async def test_a_resolved_incident_can_be_reopened(api: Api, status: str) -> None:
    await api.change(REFERENCE, status="resolved")
    incident = await api.change(REFERENCE, status=status)
    assert (incident["status"], incident["resolved_at"]) == (status, None)
    assert incident["assignments"]


async def test_an_acknowledgement_can_be_taken_back(api: Api) -> None:
    await api.change(REFERENCE, status="acknowledged")
    incident = await api.change(REFERENCE, status="triggered")
    assert (incident["status"], incident["acknowledgements"]) == ("triggered", [])


async def test_reassigning_gives_it_to_others_who_have_not_acknowledged(api: Api) -> None:
    await api.change(REFERENCE, status="acknowledged")
    users = ids((await api("GET", "/users", limit=2))["users"])
    incident = await api.change(REFERENCE, assignments=[{"assignee": ref("user", u)} for u in users])
    assert [a["assignee"]["id"] for a in incident["assignments"]] == users
    assert (incident["status"], incident["assigned_via"]) == ("triggered", "direct_assignment")


async def test_escalating_asks_the_next_level(api: Api) -> None:
    incident = await api.change(REFERENCE, escalation_level=2)
    policy = incident["escalation_policy"]["id"]
    rules = (await api("GET", f"/escalation_policies/{policy}"))["escalation_policy"]["escalation_rules"]
    assert incident["assignments"][0]["assignee"]["id"] == rules[1]["targets"][0]["id"]
    assert "escalate" in await log_types(api, incident)
    assert await refused(api, REFERENCE, escalation_level=3) == 2001


async def test_a_priority_can_be_set_and_taken_away(api: Api) -> None:
    p1 = (await api("GET", "/priorities"))["priorities"][0]
    incident = await api.change(REFERENCE, priority=ref("priority", p1["id"]))
    assert incident["priority"]["summary"] == "P1"
    assert (await api.change(REFERENCE, priority=None))["priority"] is None
    assert await refused(api, REFERENCE, priority=ref("priority", "PNONE")) == 1020


async def test_a_partial_change_leaves_the_rest(api: Api) -> None:
    before = await api.get(REFERENCE)
    after = await api.change(REFERENCE, title="New title", urgency="low")
    assert (after["title"], after["urgency"], after["status"]) == ("New title", "low", before["status"])
    assert after["summary"] == f"[#{after['incident_number']}] New title"


async def test_a_refused_change_changes_nothing(api: Api) -> None:
    before = await api.get(REFERENCE)
    assert await refused(api, REFERENCE, title="New", urgency="medium") == 2001
    assert await refused(api, REFERENCE, title="New", service=ref("service", "PNONE")) == 2002
    assert await api.get(REFERENCE) == before


async def test_only_a_single_change_moves_an_incident_to_another_service(api: Api) -> None:
    other = (await api("GET", "/services", query="checkout"))["services"][0]["id"]
    entry = {"type": "incident", "service": ref("service", other)}
    managed = (await api("PUT", "/incidents", {"incidents": [{**entry, "id": "P1234AB"}]}))["incidents"]
    assert managed[0]["service"]["id"] == "PABC123"
    assert (await api.change(REFERENCE, service=ref("service", other)))["service"]["id"] == other


async def test_many_are_managed_at_once_or_none(api: Api) -> None:
    incidents = [await api.create() for _ in range(3)]
    entries = [{"id": id_, "type": "incident_reference", "status": "resolved"} for id_ in ids(incidents)]
    answer = await api("PUT", "/incidents", {"incidents": entries[:1]})
    assert [i["status"] for i in answer["incidents"]] == ["resolved"]
    assert await api.refused("PUT", "/incidents", {"incidents": entries}) == 1001
    assert [(await api.get(i))["status"] for i in incidents] == ["resolved", "triggered", "triggered"]
    assert await api.refused("PUT", "/incidents", {"incidents": [*entries[1:], {"id": "PNONE"}]}) == 1004


async def test_every_entry_of_a_bulk_change_is_applied(api: Api) -> None:
    incidents = [await api.create() for _ in range(3)]
    entries = [{"id": id_, "type": "incident", "title": f"Now {id_}"} for id_ in ids(incidents)]
    answer = await api("PUT", "/incidents", {"incidents": entries})
    assert [incident["title"] for incident in answer["incidents"]] == [entry["title"] for entry in entries]
    assert [(await api.get(i))["title"] for i in incidents] == [entry["title"] for entry in entries]


async def test_an_incident_is_named_once_in_a_bulk_change(api: Api) -> None:
    entries = [{"id": "P1234AB", "type": "incident", "status": status} for status in ("resolved", "acknowledged")]
    assert await api.refused("PUT", "/incidents", {"incidents": entries}) == 2001
    assert (await api.get(REFERENCE))["status"] == "triggered"


async def test_a_resolved_incident_has_resolved_alerts(api: Api) -> None:
    resolved = await api.change(REFERENCE, status="resolved")
    assert resolved["alert_counts"] == {"all": 2, "triggered": 0, "resolved": 2}


async def test_more_than_250_at_once_are_refused(sandbox: Sandbox, api: Api) -> None:
    sandbox.add_incidents(251)
    ours = [i["id"] for i in sandbox.account.incidents() if i.open][-251:]
    entries = [{"id": id_, "type": "incident", "status": "acknowledged"} for id_ in ours]
    await api("PUT", "/incidents", {"incidents": entries}, status=413)
    await api("PUT", "/incidents", {"incidents": entries[:250]})


async def test_a_snoozed_incident_comes_back_when_the_time_is_over(sandbox: Sandbox, api: Api) -> None:
    snoozed = (await api("POST", "/incidents/P1234AB/snooze", {"duration": 600}, status=201))["incident"]
    assert (snoozed["status"], snoozed["pending_actions"][0]["type"]) == ("acknowledged", "unacknowledge")
    sandbox.advance(timedelta(seconds=590))
    assert (await api.get(REFERENCE))["status"] == "acknowledged"
    sandbox.advance(timedelta(seconds=10))
    assert (await api.get(REFERENCE))["status"] == "triggered"


async def test_a_resolved_incident_stays_so_when_its_snooze_would_end(sandbox: Sandbox, api: Api) -> None:
    await api("POST", "/incidents/P1234AB/snooze", {"duration": 600}, status=201)
    await api.change(REFERENCE, status="resolved")
    sandbox.advance(timedelta(seconds=700))
    assert (await api.get(REFERENCE))["status"] == "resolved"
    assert await api.refused("POST", "/incidents/P1234AB/snooze", {"duration": 600}) == 1001


@pytest.mark.parametrize("duration", [0, -1, 604_801, 1.5, "60", True, None])
async def test_a_snooze_lasts_a_second_to_a_week(api: Api, duration: object) -> None:
    assert await api.refused("POST", "/incidents/P1234AB/snooze", {"duration": duration}) == 1013


async def merge(api: Api, target: str, *sources: str) -> JSON:
    body = {"source_incidents": [ref("incident", source) for source in sources]}
    return await api("PUT", f"/incidents/{target}/merge", body)


async def test_merging_moves_the_alerts_and_resolves_the_sources(sandbox: Sandbox, api: Api) -> None:
    sandbox.add_incidents(2)
    sources = [i["id"] for i in sandbox.account.incidents()][-2:]
    before = (await api.get(REFERENCE))["alert_counts"]["all"]
    merged = (await merge(api, "P1234AB", *sources))["incident"]
    assert (merged["id"], merged["type"]) == ("P1234AB", "incident_reference")
    assert (await api.get(REFERENCE))["alert_counts"] == {
        "all": before + 2,
        "triggered": before + 2,
        "resolved": 0,
    }
    source = (await api("GET", f"/incidents/{sources[0]}"))["incident"]
    assert (source["status"], source["alert_counts"]["all"]) == ("resolved", 0)
    assert source["resolve_reason"]["type"] == "merge_resolve_reason"
    assert source["resolve_reason"]["incident"]["id"] == "P1234AB"
    body = {"source_incidents": [ref("incident", sources[0])]}
    assert await api.refused("PUT", "/incidents/P1234AB/merge", body) == 1019


async def test_the_target_of_a_merge_has_to_be_open(api: Api) -> None:
    source = await api.create()
    await api.change(REFERENCE, status="resolved")
    body = {"source_incidents": [ref("incident", source["id"])]}
    assert await api.refused("PUT", "/incidents/P1234AB/merge", body) == 1001
    assert await api.refused("PUT", f"/incidents/{source['id']}/merge", body) == 2001


async def test_an_incident_never_has_more_than_1000_alerts(sandbox: Sandbox, api: Api) -> None:
    sandbox.add_incidents(1_001)
    *rest, last = (i["id"] for i in sandbox.account.incidents() if i["title"] and i.open and i.alerts)
    for start in range(0, 900, 100):
        await merge(api, last, *rest[start : start + 100])
    body = {"source_incidents": [ref("incident", id_) for id_ in rest[900:1_001]]}
    assert await api.refused("PUT", f"/incidents/{last}/merge", body) == 2001
