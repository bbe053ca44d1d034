"""What a reviewer is shown of the object that a call would change, read before they are asked.

The same state is bound into the approval: when it has changed by the time the call is to be sent, the approval is
stale. So only what matters to the decision is taken, not what changes by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from arx_wrapper.model import Params

JSON = Mapping[str, Any]
Read = Callable[..., Awaitable[JSON]]
"""Reads one object: the endpoint's module, its arguments."""


async def incident(read: Read, params: Params) -> JSON:
    return _incident(await read("incidents.get_incident", params["incident_id"]))


async def incidents(read: Read, params: Params) -> JSON:
    entries = [await read("incidents.get_incident", entry["id"]) for entry in params["incidents"][:_SHOWN]]
    return {"incidents": [_incident(entry) for entry in entries], "of": len(params["incidents"])}


async def merge(read: Read, params: Params) -> JSON:
    sources = [await read("incidents.get_incident", source) for source in params["source_incident_ids"][:_SHOWN]]
    return {
        "into": await incident(read, params),
        "sources": [_incident(source) for source in sources],
        "of": len(params["source_incident_ids"]),
    }


async def service(read: Read, params: Params) -> JSON:
    return await _service(read, params["service_id"])


async def window_services(read: Read, params: Params) -> JSON:
    shown = [await _service(read, service_id) for service_id in params["service_ids"][:_SHOWN]]
    return {"services": shown, "of": len(params["service_ids"])}


async def policy(read: Read, params: Params) -> JSON:
    """An escalation policy with the services that would be left without one."""
    found = (await read("escalation_policies.get_escalation_policy", params["policy_id"])).get("escalation_policy", {})
    return {
        "escalation_policy": _named(found),
        "rules": len(found.get("escalation_rules") or ()),
        "services": [_named(used) for used in found.get("services") or ()],
    }


async def _service(read: Read, service_id: str) -> JSON:
    """A service with its open incidents, which nobody would be told of any more."""
    found = (await read("services.get_service", service_id)).get("service", {})
    open_incidents = await read(
        "incidents.list_incidents", service_ids=[service_id], statuses=["triggered", "acknowledged"], limit=_SHOWN
    )
    return {
        "service": _named(found),
        "status": found.get("status"),
        "escalation_policy": _named(found.get("escalation_policy") or {}),
        "open_incidents": [_incident({"incident": item}) for item in open_incidents.get("incidents") or ()],
    }


def _incident(answer: JSON) -> JSON:
    found = answer.get("incident") or {}
    return {
        "incident": found.get("id"),
        "title": found.get("title"),
        "status": found.get("status"),
        "urgency": found.get("urgency"),
        "service": _named(found.get("service") or {}),
    }


def _named(reference: JSON) -> JSON:
    return {"id": reference.get("id"), "name": reference.get("name") or reference.get("summary")}


_SHOWN: Final = 10
TARGETS: Final[Mapping[str, Callable[[Read, Params], Awaitable[JSON]]]] = {
    "incidents:update": incident,
    "incidents:manage": incidents,
    "incidents:snooze": incident,
    "incidents:merge": merge,
    "incidents:reassign": incident,
    "incidents:resolve": incident,
    "incidents:acknowledge": incident,
    "incidents:add_note": incident,
    "alerts:update": incident,
    "services:update": service,
    "services:delete": service,
    "services:create_integration": service,
    "escalation:update": policy,
    "escalation:delete": policy,
    "maintenance:create": window_services,
}
