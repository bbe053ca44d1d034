"""Read the state of the object that a call would change, before a reviewer is asked.

The same state is bound into the approval: when it has changed by the time the call is to be sent, the approval is
stale. So only what matters to the decision is taken, not what changes by itself.
"""

from __future__ import annotations

from typing import Final

from arx_wrapper.model import JSON, Lookup, Params

# Objects of a bulk write that are read and shown; their number is shown as well.
_SHOWN: Final = 10


async def incident(lookup: Lookup, params: Params) -> JSON:
    return _incident(await lookup("incidents.get_incident", params["incident_id"]))


async def incidents(lookup: Lookup, params: Params) -> JSON:
    entries = [await lookup("incidents.get_incident", entry["id"]) for entry in params["incidents"][:_SHOWN]]
    return {"incidents": [_incident(entry) for entry in entries], "of": len(params["incidents"])}


async def merge(lookup: Lookup, params: Params) -> JSON:
    sources = [await lookup("incidents.get_incident", source) for source in params["source_incident_ids"][:_SHOWN]]
    return {
        "into": await incident(lookup, params),
        "sources": [_incident(source) for source in sources],
        "of": len(params["source_incident_ids"]),
    }


async def service(lookup: Lookup, params: Params) -> JSON:
    return await _service(lookup, params["service_id"])


async def window_services(lookup: Lookup, params: Params) -> JSON:
    shown = [await _service(lookup, service_id) for service_id in params["service_ids"][:_SHOWN]]
    return {"services": shown, "of": len(params["service_ids"])}


async def escalation_policy(lookup: Lookup, params: Params) -> JSON:
    """An escalation policy with the services that would be left without one."""
    found = (await lookup("escalation_policies.get_escalation_policy", params["policy_id"])).get(
        "escalation_policy", {}
    )
    return {
        "escalation_policy": _named(found),
        "rules": len(found.get("escalation_rules") or ()),
        "services": [_named(used) for used in found.get("services") or ()],
    }


async def _service(lookup: Lookup, service_id: str) -> JSON:
    """A service with its open incidents, which nobody would be told of any more."""
    found = (await lookup("services.get_service", service_id)).get("service", {})
    open_incidents = await lookup(
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
