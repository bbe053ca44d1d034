"""Services and their integrations."""

from __future__ import annotations

from datetime import timedelta

import pytest

from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.routes.services import INTEGRATION_TYPES
from tests.sandbox.api import JSON, Api, ids, ref

SERVICE = "/services/PABC123"


async def new_service(api: Api, **members: object) -> JSON:
    policy = (await api("GET", "/escalation_policies"))["escalation_policies"][0]["id"]
    return {"type": "service", "name": "New", "escalation_policy": ref("escalation_policy", policy), **members}


async def test_a_service_lives_from_creation_to_deletion(api: Api) -> None:
    service = (await api("POST", "/services", {"service": await new_service(api)}, status=201))["service"]
    assert (service["status"], service["auto_resolve_timeout"]) == ("active", 14_400)
    path = f"/services/{service['id']}"
    changed = (await api("PUT", path, {"service": {"name": "Newer"}}))["service"]
    assert changed == {**service, "name": "Newer", "summary": "Newer"}
    await api("DELETE", path, status=204)
    assert await api.refused("GET", path, status=404) == 2100


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"type": None}, 2001),
        ({"name": " "}, 2001),
        ({"name": "orders database"}, 2001),
        ({"escalation_policy": None}, 2001),
        ({"escalation_policy": ref("escalation_policy", "PNONE")}, 1014),
        ({"status": "disabled"}, 2001),
    ],
)
async def test_a_wrong_new_service_is_refused(api: Api, members: JSON, code: int) -> None:
    assert await api.refused("POST", "/services", {"service": await new_service(api, **members)}) == code


async def test_the_status_follows_from_incidents_windows_and_switch(sandbox: Sandbox, api: Api) -> None:
    async def status() -> str:
        return str((await api("GET", SERVICE))["service"]["status"])

    assert await status() == "critical"
    await api.change({"id": "P1234AB"}, status="acknowledged")
    assert await status() == "warning"
    await api.change({"id": "P1234AB"}, status="resolved")
    assert await status() == "active"
    now = sandbox.clock.now()
    window = {"type": "maintenance_window", "services": [ref("service", "PABC123")]}
    times = {"start_time": now.isoformat(), "end_time": (now + timedelta(hours=1)).isoformat()}
    await api("POST", "/maintenance_windows", {"maintenance_window": {**window, **times}}, status=201)
    assert await status() == "maintenance"
    await api("PUT", SERVICE, {"service": {"status": "disabled"}})
    assert await status() == "disabled"
    sandbox.advance(timedelta(hours=2))
    await api("PUT", SERVICE, {"service": {"status": "active"}})
    assert await status() == "active"


async def test_a_whole_service_can_be_sent_back(api: Api) -> None:
    service = (await api("GET", SERVICE))["service"]
    assert (await api("PUT", SERVICE, {"service": service}))["service"] == service


async def test_services_are_listed_by_name(api: Api) -> None:
    services = (await api("GET", "/services"))["services"]
    names = [service["name"] for service in services]
    assert names == sorted(names)
    backwards = (await api("GET", "/services", sort_by="name:desc"))["services"]
    assert ids(backwards) == ids(services)[::-1]
    assert ids((await api("GET", "/services", name="Orders Database"))["services"]) == ["PABC123"]
    team = services[0]["teams"][0]["id"]
    of_team = (await api("GET", "/services", team_ids_list=[team]))["services"]
    assert of_team == [s for s in services if team in ids(s["teams"])]


async def test_integrations_are_listed_with_the_service(api: Api) -> None:
    [short] = (await api("GET", SERVICE))["service"]["integrations"]
    [whole] = (await api("GET", SERVICE, include_list=["integrations"]))["service"]["integrations"]
    assert short["type"] == "events_api_v2_inbound_integration_reference"
    assert whole["integration_key"].startswith("sandbox-integration-key-")


async def test_integrations_have_no_list_of_their_own_unless_switched_on(sandbox: Sandbox, api: Api) -> None:
    assert await api.refused("GET", f"{SERVICE}/integrations", status=404) == 2100
    sandbox.options.list_integrations = True
    [integration] = (await api("GET", f"{SERVICE}/integrations"))["integrations"]
    assert (await api("GET", f"{SERVICE}/integrations/{integration['id']}"))["integration"] == integration


@pytest.mark.parametrize("kind", INTEGRATION_TYPES)
async def test_an_integration_of_each_type_can_be_created(api: Api, kind: str) -> None:
    body = {"integration": {"type": kind, "vendor": ref("vendor", "PVENDOR")}}
    integration = (await api("POST", f"{SERVICE}/integrations", body, status=201))["integration"]
    assert integration["type"] == kind
    assert integration["id"] in ids((await api("GET", SERVICE))["service"]["integrations"])


async def test_an_integration_of_no_type_is_refused(api: Api) -> None:
    body = {"integration": {"type": "carrier_pigeon"}}
    assert await api.refused("POST", f"{SERVICE}/integrations", body) == 2001
