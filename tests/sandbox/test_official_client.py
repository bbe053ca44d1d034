"""PagerDuty's own Python client works against the sandbox unchanged, over TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pagerduty
import pytest

from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.clock import system_time
from arx_wrapper.sandbox.server import run_in_thread
from tests.sandbox.api import ids, ref

SERVICE = ref("service", "PABC123")


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(clock=system_time)


@pytest.fixture
def connection(sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    with run_in_thread(sandbox, tls=True) as served:
        trusting = ssl.create_default_context(cafile=served.ca_file)
        yield {"base_url": served.url, "verify": trusting, "trust_env": False}


@pytest.fixture
def client(sandbox: Sandbox, connection: dict[str, Any]) -> Iterator[pagerduty.RestApiV2Client]:
    with pagerduty.RestApiV2Client(sandbox.token, default_from=sandbox.email, **connection) as made:
        yield made


def answered(error: pytest.ExceptionInfo[pagerduty.HttpError]) -> Any:
    assert error.value.response is not None
    return error.value.response


def create(client: pagerduty.RestApiV2Client, **members: Any) -> dict[str, Any]:
    incident = {"type": "incident", "title": "Disk full", "service": SERVICE, **members}
    return dict(client.rpost("incidents", json=incident))


def status_of(client: pagerduty.RestApiV2Client, incident: dict[str, Any]) -> str:
    return str(client.rget(incident["self"])["status"])


def test_incidents_run_their_course(client: pagerduty.RestApiV2Client) -> None:
    incident = create(client, incident_key="lag")
    with pytest.raises(pagerduty.HttpError, match="matching ded"):
        create(client, incident_key="lag")
    reference = {"type": "incident_reference"}
    assert client.rput(incident, json={**reference, "status": "acknowledged"})["status"] == "acknowledged"
    client.rpost(f"incidents/{incident['id']}/notes", json={"content": "On it"})
    assert [note["content"] for note in client.rget(f"incidents/{incident['id']}/notes")] == ["On it"]
    assert client.rpost(f"incidents/{incident['id']}/snooze", json={"duration": 60})["pending_actions"]
    other = create(client)
    client.rput(f"incidents/{incident['id']}/merge", json=[ref("incident", other["id"])])
    assert status_of(client, other) == "resolved"
    client.rput("incidents", json=[{"id": incident["id"], **reference, "status": "resolved"}])
    assert status_of(client, incident) == "resolved"
    types = [entry["type"] for entry in client.iter_all(f"incidents/{incident['id']}/log_entries")]
    assert types[0] == "resolve_log_entry"
    assert types[-1] == "trigger_log_entry"


def test_lists_are_paged_to_the_end(sandbox: Sandbox, client: pagerduty.RestApiV2Client) -> None:
    sandbox.add_incidents(230)
    found = list(client.iter_all("incidents", params={"statuses": ["triggered"]}, page_size=50))
    expected = [i["id"] for i in sandbox.account.incidents() if i["status"] == "triggered"]
    assert sorted(ids(found)) == sorted(expected)
    assert client.get_total("incidents", params={"statuses": ["triggered"]}) == len(expected)


def test_a_months_history_is_found_by_bisecting(sandbox: Sandbox, client: pagerduty.RestApiV2Client) -> None:
    now = sandbox.clock.now()
    incidents = list(client.iter_history("incidents", now - timedelta(days=31), now + timedelta(seconds=1)))
    assert sorted(ids(incidents)) == sorted(i["id"] for i in sandbox.account.incidents())
    entries = list(client.iter_history("log_entries", now - timedelta(days=31), now + timedelta(seconds=1)))
    assert len(entries) == sum(len(incident.log) for incident in sandbox.account.incidents())


def test_services_and_policies_are_created_found_changed_and_deleted(client: pagerduty.RestApiV2Client) -> None:
    user = client.rget("users", params={"limit": 1})[0]
    rule = {"escalation_delay_in_minutes": 5, "targets": [ref("user", user["id"])]}
    policy = client.persist(
        "escalation_policies", "name", {"type": "escalation_policy", "name": "New", "escalation_rules": [rule]}
    )
    service = client.rpost(
        "services", json={"type": "service", "name": "New", "escalation_policy": ref("escalation_policy", policy["id"])}
    )
    found = client.find("services", "new")
    assert found is not None
    assert found["id"] == service["id"]
    assert client.rput(service, json={**service, "description": "Changed"})["description"] == "Changed"
    made = client.rpost(f"{service['self']}/integrations", json={"type": "events_api_v2_inbound_integration"})
    assert client.rget(made["self"])["name"] == made["name"]
    with pytest.raises(pagerduty.HttpError, match="in use"):
        client.rdelete(policy)
    client.rdelete(service)
    client.rdelete(policy)
    with pytest.raises(pagerduty.HttpError) as gone:
        client.rget(policy)
    assert answered(gone).status_code == 404


def test_on_calls_schedules_and_people_are_listed(client: pagerduty.RestApiV2Client) -> None:
    for path in ("oncalls", "schedules", "users", "teams", "escalation_policies", "services", "priorities"):
        assert client.list_all(path), path
    user = client.find("users", "ada.nkemelu@example.com", attribute="email")
    assert user is not None
    assert client.rget(f"{user['self']}/contact_methods")
    assert client.rget(f"{user['self']}/notification_rules")
    assert client.subdomain == "sandbox"
    assert client.account_has_ability("teams")


def test_windows_are_opened_and_ended(sandbox: Sandbox, client: pagerduty.RestApiV2Client) -> None:
    now = sandbox.clock.now()
    times = {"start_time": now.isoformat(), "end_time": (now + timedelta(hours=1)).isoformat()}
    window = client.rpost("maintenance_windows", json={"type": "maintenance_window", "services": [SERVICE], **times})
    assert client.rget("services/PABC123")["status"] == "maintenance"
    sandbox.advance(timedelta(minutes=1))
    client.rdelete(window)
    assert client.rget("services/PABC123")["status"] == "critical"
    with pytest.raises(pagerduty.HttpError) as ended:
        client.rdelete(window)
    assert answered(ended).status_code == 405


def test_analytics_count_the_incidents(sandbox: Sandbox, client: pagerduty.RestApiV2Client) -> None:
    answer = client.jpost("analytics/metrics/incidents/all", json={"filters": {}})
    assert answer["data"][0]["total_incident_count"] == len(list(sandbox.account.incidents()))
    assert len(client.jpost("analytics/metrics/incidents/services", json={})["data"]) == 5


def test_errors_are_the_ones_that_the_client_knows(sandbox: Sandbox, client: pagerduty.RestApiV2Client) -> None:
    with pytest.raises(pagerduty.HttpError) as wrong:
        client.rpost("incidents", json={"type": "incident", "title": "", "service": SERVICE})
    assert answered(wrong).json()["error"]["code"] == 2001
    del client.headers["From"]
    with pytest.raises(pagerduty.HttpError, match="From"):
        create(client)
    assert client.api_key_access == "account"
    client.auth_method = type(client.auth_method)("wrong-key")
    with pytest.raises(pagerduty.HttpError, match="401"):
        client.rget("users")


def test_it_waits_for_the_rate_limit_and_goes_on(sandbox: Sandbox, client: pagerduty.RestApiV2Client) -> None:
    client.sleep_timer = 0.01
    sandbox.faults.rate_limited(times=2)
    assert client.rget("teams")
    assert [request.status for request in sandbox.requests] == [429, 429, 200]


def test_a_users_token_is_recognised(sandbox: Sandbox, connection: dict[str, Any]) -> None:
    with pagerduty.RestApiV2Client(sandbox.token, auth_type="bearer", **connection) as own:
        assert own.api_key_access == "user"
        assert own.rget("users/me")["email"] == sandbox.email
