"""Alerts, notes and log entries."""

from __future__ import annotations

import pytest

from arx_wrapper.sandbox import Sandbox
from tests.sandbox.api import Api, ids, ref

INCIDENT = "/incidents/P1234AB"


async def test_alerts_are_filtered_and_sorted(api: Api) -> None:
    alerts = (await api("GET", f"{INCIDENT}/alerts"))["alerts"]
    assert len(alerts) == 2
    key = alerts[0]["alert_key"]
    assert ids((await api("GET", f"{INCIDENT}/alerts", alert_key=key))["alerts"]) == [alerts[0]["id"]]
    assert (await api("GET", f"{INCIDENT}/alerts", statuses_list=["resolved"]))["alerts"] == []
    backwards = (await api("GET", f"{INCIDENT}/alerts", sort_by="created_at:desc"))["alerts"]
    assert sorted(ids(backwards)) == sorted(ids(alerts))


async def test_an_incident_resolves_with_its_last_alert(api: Api) -> None:
    first, second = ids((await api("GET", f"{INCIDENT}/alerts"))["alerts"])
    body = {"alert": {"type": "alert", "status": "resolved"}}
    answer = await api("PUT", f"{INCIDENT}/alerts/{first}", body)
    assert answer["alert"]["status"] == "resolved"
    incident = (await api("GET", INCIDENT))["incident"]
    assert (incident["status"], incident["alert_counts"]) == (
        "triggered",
        {"all": 2, "triggered": 1, "resolved": 1},
    )
    await api("PUT", f"{INCIDENT}/alerts/{second}", body)
    assert (await api("GET", INCIDENT))["incident"]["status"] == "resolved"


async def test_an_alert_moves_to_another_open_incident(api: Api) -> None:
    other = await api.create()
    alert = ids((await api("GET", f"{INCIDENT}/alerts"))["alerts"])[0]
    body = {"alert": {"incident": ref("incident", other["id"])}}
    moved = (await api("PUT", f"{INCIDENT}/alerts/{alert}", body))["alert"]
    assert moved["incident"]["id"] == other["id"]
    assert ids((await api("GET", f"/incidents/{other['id']}/alerts"))["alerts"]) == [alert]
    assert await api.refused("PUT", f"{INCIDENT}/alerts/{alert}", body, status=404) == 2100
    await api.change(other, status="resolved")
    body = {"alert": {"incident": ref("incident", other["id"])}}
    rest = ids((await api("GET", f"{INCIDENT}/alerts"))["alerts"])[0]
    assert await api.refused("PUT", f"{INCIDENT}/alerts/{rest}", body) == 2001


async def test_a_note_appears_in_the_notes_and_in_the_log(sandbox: Sandbox, api: Api) -> None:
    note = (await api("POST", f"{INCIDENT}/notes", {"note": {"content": "On it"}}))["note"]
    assert (note["content"], note["user"]["summary"]) == ("On it", "Oncall Bot")
    assert (await api("GET", f"{INCIDENT}/notes"))["notes"][-1] == note
    newest = (await api("GET", f"{INCIDENT}/log_entries", limit=1))["log_entries"][0]
    assert newest["type"] == "annotate_log_entry"
    sandbox.options.note_status = 201
    await api("POST", f"{INCIDENT}/notes", {"note": {"content": "Still"}}, status=201)


@pytest.mark.parametrize("content", ["", "  ", None, 5, "x" * 2_001])
async def test_a_note_has_1_to_2000_characters(api: Api, content: object) -> None:
    assert await api.refused("POST", f"{INCIDENT}/notes", {"note": {"content": content}}) == 2001


async def test_a_note_of_2000_characters_is_kept_whole(api: Api) -> None:
    content = "x" * 2_000
    assert (await api("POST", f"{INCIDENT}/notes", {"note": {"content": content}}))["note"]["content"] == content


async def test_the_log_is_newest_first_and_can_be_narrowed(api: Api) -> None:
    await api.change({"id": "P1234AB"}, status="acknowledged")
    entries = (await api("GET", f"{INCIDENT}/log_entries", limit=100))["log_entries"]
    times = [entry["created_at"] for entry in entries]
    assert times == sorted(times, reverse=True)
    overview = (await api("GET", f"{INCIDENT}/log_entries", is_overview="true"))["log_entries"]
    assert {entry["type"] for entry in overview} == {"acknowledge_log_entry", "trigger_log_entry"}
    since = (await api("GET", f"{INCIDENT}/log_entries", since=times[0]))["log_entries"]
    assert [entry["type"] for entry in since] == ["acknowledge_log_entry"]


async def test_the_accounts_log_holds_every_incidents_log(api: Api) -> None:
    entry = (await api("GET", f"{INCIDENT}/log_entries"))["log_entries"][0]
    every = (await api("GET", "/log_entries", limit=100))["log_entries"]
    assert entry in every
    assert len({e["incident"]["id"] for e in every}) > 5
    assert (await api("GET", f"/log_entries/{entry['id']}"))["log_entry"] == entry
