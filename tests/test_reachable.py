"""Everything in PagerDuty's document can be reached through the methods, or is named here with the reason why not."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from pagerduty_client import models

from arx_wrapper import InvalidParamsError, PagerDutyConnector, PermissionDeniedError
from arx_wrapper.pagerduty.operations import TABLE
from tests.support import EVERYTHING

# Query parameters that no method offers.
UNREACHABLE: dict[str, set[str]] = {"incidents:manage": {"limit", "offset", "total"}}  # it answers what was changed


def endpoint(name: str) -> Any:
    return importlib.import_module(f"pagerduty_client.api.{TABLE[name].endpoint}")


def parameters(name: str) -> set[str]:
    return set(inspect.signature(getattr(PagerDutyConnector, TABLE[name].function)).parameters) - {"self"}


@pytest.mark.parametrize("name", TABLE)
def test_every_query_parameter_of_the_endpoint_is_a_parameter_of_the_method(name: str) -> None:
    offered = set(inspect.signature(endpoint(name).request).parameters) - {"body", "from_"}
    assert offered - parameters(name) == UNREACHABLE.get(name, set())


# For each write, the parameters that together send every member that its body has; `fields` takes the rest.
SENT: dict[str, dict[str, Any]] = {
    "incidents:create": {
        "title": "t", "service_id": "S", "urgency": "high", "body": "b", "incident_key": "k", "priority_id": "P",
        "escalation_policy_id": "E", "assignee_ids": ["U"], "conference_bridge": {"conference_number": "1"},
        "incident_type": "major",
    },
    "incidents:update": {
        "incident_id": "I", "status": "triggered", "title": "t", "urgency": "high", "resolution": "r",
        "priority_id": "P", "escalation_level": 1, "escalation_policy_id": "E", "assignee_ids": ["U"],
        "conference_bridge": {"conference_number": "1"}, "incident_type": "major", "service_id": "S",
    },
    "incidents:manage": {
        "id": "I", "status": "triggered", "title": "t", "urgency": "high", "resolution": "r", "priority_id": "P",
        "escalation_level": 1, "escalation_policy_id": "E", "assignee_ids": ["U"],
        "conference_bridge": {"conference_number": "1"}, "incident_type": "major",
    },
    "analytics:read": {
        "since": "2025-01-01T00:00:00Z", "aggregate_unit": "day", "time_zone": "UTC", "order": "asc",
        "order_by": "total_incident_count",
    },
}  # fmt: skip
MODELS = {
    "incidents:create": models.IncidentCreate,
    "incidents:update": models.IncidentUpdate,
    "incidents:manage": models.IncidentChange,
    "analytics:read": models.AnalyticsQuery,
}


def bodies(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from bodies(item)
    elif isinstance(value, list):
        for item in value:
            yield from bodies(item)


@pytest.mark.parametrize("name", SENT)
def test_every_member_of_a_body_is_sent_by_a_parameter(name: str) -> None:
    given = {"incidents": [SENT[name]]} if name == "incidents:manage" else SENT[name]
    request = PagerDutyConnector("agent", "org", policies=[]).plan(name, given).request
    assert set(MODELS[name].members()) in [set(body) for body in bodies(request.json)]


async def test_moving_an_incident_to_another_service_needs_what_reassigning_needs() -> None:
    policy = {"name": "p", "connector": "pagerduty", "operations": ["incidents:update"], "risk_max": "high"}
    async with PagerDutyConnector.sandbox(policies=[policy]) as pd:
        with pytest.raises(PermissionDeniedError, match="incidents:reassign"):
            await pd.update_incident("P1234AB", service_id="PABC123")
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        service = (await pd.list_services())[-1]
        moved = await pd.update_incident("P1234AB", service_id=str(service.id))
        assert moved.service is not None
        assert moved.service.id == service.id


async def test_records_of_analytics_are_sorted_by_a_member_of_theirs() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        found = await pd.get_service_analytics(order_by="total_incident_count", order="desc")
        counts = [each.total_incident_count or 0 for each in found.data or []]
        assert counts == sorted(counts, reverse=True)
        with pytest.raises(InvalidParamsError, match="order_by"):
            await pd.get_service_analytics(order_by="a b")
