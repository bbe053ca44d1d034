"""Audit records tell who changed what."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from arx_wrapper.sandbox import Sandbox
from tests.sandbox.api import JSON, Api, headers, ids, ref

RECORDS = "/audit/records"


async def records(api: Api, **query: Any) -> list[JSON]:
    return list((await api("GET", RECORDS, limit=100, **query))["records"])


async def change_everything(api: Api) -> None:
    policy = (await api("GET", "/escalation_policies"))["escalation_policies"][0]["id"]
    body = {"type": "service", "name": "New", "escalation_policy": ref("escalation_policy", policy)}
    service = (await api("POST", "/services", {"service": body}, status=201))["service"]["id"]
    await api("PUT", f"/services/{service}", {"service": {"name": "Newer"}})
    mail = {"type": "generic_email_inbound_integration"}
    await api("POST", f"/services/{service}/integrations", {"integration": mail}, status=201)
    window = {
        "type": "maintenance_window",
        "start_time": "2025-06-15T02:00:00Z",
        "end_time": "2025-06-15T04:00:00Z",
        "services": [ref("service", service)],
    }
    made = await api("POST", "/maintenance_windows", {"maintenance_window": window}, status=201)
    await api("DELETE", f"/maintenance_windows/{made['maintenance_window']['id']}", status=204)
    await api("PUT", f"/escalation_policies/{policy}", {"escalation_policy": {"num_loops": 3}})
    await api("DELETE", f"/services/{service}", status=204)


async def test_every_change_leaves_a_record_of_who_did_it_and_from_where(sandbox: Sandbox, api: Api) -> None:
    await change_everything(api)
    found = await records(api)
    assert [(record["action"], record["root_resource"]["type"]) for record in reversed(found)] == [
        ("create", "service_reference"),
        ("update", "service_reference"),
        ("update", "service_reference"),
        ("create", "maintenance_window_reference"),
        ("delete", "maintenance_window_reference"),
        ("update", "escalation_policy_reference"),
        ("delete", "service_reference"),
    ]
    renamed = found[-2]
    assert renamed["details"]["fields"] == [
        {"name": "name", "description": None, "value": "Newer", "before_value": "New"}
    ]
    assert renamed["method"] == {"type": "api_token", "truncated_token": sandbox.token[-4:], "description": None}
    assert [actor["type"] for actor in renamed["actors"]] == ["api_key_reference"]
    assert renamed["execution_context"]["remote_address"] == "127.0.0.1"
    assert len({record["execution_context"]["request_id"] for record in found}) == len(found)
    assert found[-3]["details"]["resource"]["type"] == "generic_email_inbound_integration_reference"


async def test_the_answer_and_the_record_name_the_same_request(sandbox: Sandbox, api: Api) -> None:
    sandbox.options.personal_key = True
    answer = await api.client.put("/services/PABC123", json={"service": {"description": "changed"}})
    [record] = await records(api)
    assert record["execution_context"]["request_id"] == answer.headers["x-request-id"]
    assert [actor["type"] for actor in record["actors"]] == ["user_reference"]


async def test_a_request_that_changes_nothing_leaves_none(api: Api) -> None:
    service = (await api("GET", "/services/PABC123"))["service"]
    await api("PUT", "/services/PABC123", {"service": {"name": service["name"]}})
    await api("PUT", "/services/PABC123", {"service": {"name": ""}}, status=400)
    await api("GET", "/services/PABC123")
    assert await records(api) == []


async def test_pages_follow_each_other_by_cursor_newest_first(api: Api) -> None:
    for number in range(25):
        await api("PUT", "/services/PABC123", {"service": {"description": f"{number}"}})
    whole = ids(await records(api))
    read, cursor, sizes = [], {}, []
    while True:
        page = await api("GET", RECORDS, **cursor)
        read += ids(page["records"])
        sizes.append(len(page["records"]))
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert (read, sizes) == (whole, [10, 10, 5])
    assert await api.refused("GET", RECORDS, cursor="bm9uZQ==") == 2001


async def test_a_span_is_a_day_by_default_and_31_days_at_most(sandbox: Sandbox, api: Api) -> None:
    await api("PUT", "/services/PABC123", {"service": {"description": "early"}})
    began = sandbox.clock.now()
    sandbox.advance(timedelta(days=31))
    assert await records(api) == []
    assert len(await records(api, since=began.isoformat())) == 1
    sandbox.advance(timedelta(seconds=2))
    assert await api.refused("GET", RECORDS, since=began.isoformat()) == 2001
    assert await api.refused("GET", RECORDS, since="2025-06-02T00:00:00Z", until="2025-06-01T00:00:00Z") == 2001


async def test_what_was_done_elsewhere_can_be_put_there_and_selected(sandbox: Sandbox, api: Api) -> None:
    team = (await api("GET", "/teams"))["teams"][0]["id"]
    await api("PUT", "/services/PABC123", {"service": {"description": "by the API"}})
    sandbox.record_change("delete", "team", team, by=sandbox.email, address="203.0.113.7")
    [elsewhere] = await records(api, method_type="browser")
    assert elsewhere["execution_context"]["remote_address"] == "203.0.113.7"
    assert elsewhere["actors"][0]["type"] == "user_reference"
    assert [r["id"] for r in await records(api, root_resource_types_list=["teams"])] == [elsewhere["id"]]
    assert [r["id"] for r in await records(api, actions_list=["delete"])] == [elsewhere["id"]]
    actor = {"actor_type": "user_reference", "actor_id": elsewhere["actors"][0]["id"]}
    assert [r["id"] for r in await records(api, **actor)] == [elsewhere["id"]]
    key = {"method_type": "api_token", "method_truncated_token": sandbox.token[-4:]}
    assert [r["action"] for r in await records(api, **key)] == ["update"]
    assert await api.refused("GET", RECORDS, actor_id="P1") == 2001
    with pytest.raises(ValueError, match="not of"):
        sandbox.record_change("mend", "team", team)
    with pytest.raises(ValueError, match="no user"):
        sandbox.record_change("update", "team", team, by="nobody@example.com")


async def test_records_come_late_and_not_for_every_key_when_told_so(sandbox: Sandbox, api: Api) -> None:
    await api("PUT", "/services/PABC123", {"service": {"description": "late"}})
    sandbox.options.audit_lag = 600.0
    assert await records(api) == []
    sandbox.advance(timedelta(seconds=600))
    assert len(await records(api)) == 1
    for status, code in ((402, 2014), (403, 2010)):
        sandbox.options.audit_records = status
        assert await api.refused("GET", RECORDS, status=status) == code


async def test_two_processes_on_one_file_never_give_two_changes_the_same_request(tmp_path: Path) -> None:
    sandboxes = [Sandbox(state=tmp_path / "account.json") for _ in range(2)]
    for number in range(4):
        sandbox = sandboxes[number % 2]
        async with httpx.AsyncClient(
            transport=sandbox.transport(), base_url=sandbox.base_url, headers=headers(sandbox)
        ) as client:
            await Api(client)("PUT", "/services/PABC123", {"service": {"description": f"{number}"}})
            found = await records(Api(client))
    assert len({record["execution_context"]["request_id"] for record in found}) == 4
