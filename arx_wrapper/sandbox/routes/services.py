"""Serve services and their integrations."""

from __future__ import annotations

from typing import Any

from arx_wrapper.sandbox.account import JSON, Ref, Resource
from arx_wrapper.sandbox.endpoint import PAGE, REFERENCE, Call, Endpoint, Reply, Shape, created, no_content, ok
from arx_wrapper.sandbox.errors import refuse
from arx_wrapper.sandbox.paging import matching, page, shown, sorted_by

__all__ = ["ENDPOINTS"]

INTEGRATION_TYPES = tuple(
    f"{kind}_inbound_integration"
    for kind in (
        "aws_cloudwatch",
        "cloudkick",
        "event_transformer_api",
        "events_api_v2",
        "generic_email",
        "generic_events_api",
        "keynote",
        "nagios",
        "pingdom",
        "sql_monitor",
    )
)
_INCLUDE = ("escalation_policies", "teams", "auto_pause_notifications_parameters", "integrations")

SERVICE_DEFAULTS: JSON = {
    "description": None,
    "auto_resolve_timeout": 14_400,
    "acknowledgement_timeout": 1_800,
    "status": "active",
    "last_incident_timestamp": None,
    "teams": [],
    "integrations": [],
    "incident_urgency_rule": {"type": "constant", "urgency": "high"},
    "support_hours": None,
    "scheduled_actions": [],
    "addons": [],
    "alert_creation": "create_alerts_and_incidents",
    "alert_grouping": None,
    "alert_grouping_timeout": None,
    "alert_grouping_parameters": {"type": None, "config": None},
    "auto_pause_notifications_parameters": {"enabled": False, "timeout": 300},
    "response_play": None,
}
# The members that a client may set without further checks; name, status and escalation policy are checked.
_WRITABLE = (
    "description",
    "auto_resolve_timeout",
    "acknowledgement_timeout",
    "incident_urgency_rule",
    "support_hours",
    "scheduled_actions",
    "alert_creation",
    "alert_grouping",
    "alert_grouping_timeout",
    "alert_grouping_parameters",
    "auto_pause_notifications_parameters",
    "response_play",
)


def list_services(call: Call) -> Reply:
    name = call.one("name")
    found = [s for s in matching(call, call.account.all("service")) if name is None or s["name"] == name]
    return page(call, "services", sorted_by(found, call.one("sort_by"), ("name",), "name"), _INCLUDE)


def get_service(call: Call) -> Reply:
    return ok({"service": shown(call, _service(call), _INCLUDE)})


def create_service(call: Call) -> Reply:
    given = call.wrapped("service")
    if given.get("type") != "service":
        raise refuse(2001, "type must be service")
    if given.get("status", "active") != "active":
        raise refuse(2001, "status must be active")
    members = {
        "name": _name(call, given, None),
        "escalation_policy": _policy(call, given),
        "created_at": call.now,
        **SERVICE_DEFAULTS,
        "teams": [],
        "integrations": [],
        **_writable(given),
    }
    return created({"service": call.account.add("service", "/services", members)})


def update_service(call: Call) -> Reply:
    service, given = _service(call), call.wrapped("service")
    members = _writable(given)
    if "name" in given:
        members["name"] = _name(call, given, service)
    if "escalation_policy" in given:
        members["escalation_policy"] = _policy(call, given)
    if "status" in given:
        members["status"] = _status(call, given, service)
    service.update(members)
    return ok({"service": service})


def delete_service(call: Call) -> Reply:
    call.account.delete(_service(call))
    return no_content()


def _service(call: Call) -> Resource:
    return call.account.get("service", call.path["id"])


def _writable(given: JSON) -> JSON:
    return {name: given[name] for name in _WRITABLE if name in given}


def _name(call: Call, given: JSON, service: Resource | None) -> str:
    name = given.get("name")
    if not isinstance(name, str) or not name.strip():
        raise refuse(2001, "Name can't be blank")
    if any(s["name"].casefold() == name.casefold() for s in call.account.all("service") if s is not service):
        raise refuse(2001, "Name has already been taken")
    return name


def _policy(call: Call, given: JSON) -> Ref:
    if not isinstance(given.get("escalation_policy"), dict):
        raise refuse(2001, "Escalation policy can't be blank")
    return call.account.reference(given["escalation_policy"], "escalation_policy", lambda: refuse(1014))


def _status(call: Call, given: JSON, service: Resource) -> str:
    """Return the status to store: active or disabled. Other statuses are derived from incidents and windows."""
    status = given["status"]
    if status == "disabled":
        return "disabled"
    if status not in ("active", "warning", "critical", "maintenance"):
        raise refuse(2001, "status must be active or disabled")
    # A client that sends back a whole service also sends its derived status.
    return "active" if status == "active" else str(service["status"])


def list_integrations(call: Call) -> Reply:
    service = _service(call)
    if not call.options.list_integrations:
        raise refuse(2100)
    return ok({"integrations": [call.account.get("integration", ref.id) for ref in service["integrations"]]})


def get_integration(call: Call) -> Reply:
    service = _service(call)
    integration = call.account.get("integration", call.path["integration_id"])
    if integration.ref not in service["integrations"]:
        raise refuse(2100)
    return ok({"integration": integration})


def create_integration(call: Call) -> Reply:
    service, given = _service(call), call.wrapped("integration")
    kind = given.get("type")
    if kind not in INTEGRATION_TYPES:
        raise refuse(2001, f"type must be one of {', '.join(INTEGRATION_TYPES)}")
    vendor = given.get("vendor")
    members: dict[str, Any] = {
        "type": kind,
        "name": given.get("name") or str(kind).removesuffix("_inbound_integration").replace("_", " ").title(),
        "service": service.ref,
        "created_at": call.now,
        "vendor": {"id": vendor["id"], "type": "vendor_reference"} if isinstance(vendor, dict) else None,
        "integration_key": f"sandbox-integration-key-{call.account.new_id()}",
    }
    if kind == "generic_email_inbound_integration":
        members["integration_email"] = given.get("integration_email") or f"{service['id']}@example.com"
    integration = call.account.add("integration", f"{service.path}/integrations", members)
    service["integrations"].append(integration.ref)
    return created({"integration": integration})


_BODY: Shape = {
    **REFERENCE,
    **dict.fromkeys(("name", "status", *SERVICE_DEFAULTS, "created_at")),
    "escalation_policy": REFERENCE,
}
_INTEGRATION: Shape = {
    **REFERENCE,
    "name": None,
    "service": REFERENCE,
    "created_at": None,
    "vendor": REFERENCE,
    "integration_email": None,
    "email_incident_creation": None,
    "email_filter_mode": None,
    "email_parsers": None,
    "email_parsing_fallback": None,
    "email_filters": None,
}

ENDPOINTS = (
    Endpoint(
        "GET",
        "/services",
        list_services,
        PAGE | {"query", "name", "team_ids[]", "time_zone", "sort_by", "include[]"},
    ),
    Endpoint("GET", "/services/{id}", get_service, frozenset({"include[]"})),
    Endpoint("POST", "/services", create_service, body={"service": _BODY}),
    Endpoint("PUT", "/services/{id}", update_service, body={"service": _BODY}),
    Endpoint("DELETE", "/services/{id}", delete_service),
    Endpoint("GET", "/services/{id}/integrations", list_integrations),
    Endpoint("GET", "/services/{id}/integrations/{integration_id}", get_integration),
    Endpoint("POST", "/services/{id}/integrations", create_integration, body={"integration": _INTEGRATION}),
)
