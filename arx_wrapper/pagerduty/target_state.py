"""Read the state of the objects that a call would change, to show it to reviewers.

The approval is bound to this state: when it has changed by the time the call is sent, the approval is stale. So the
state holds only members that matter to the decision, and none that change by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from arx_wrapper.errors import ApprovalError
from arx_wrapper.model import JSON, Lookup, Params

# The most open incidents of a service that are read and shown.
_SHOWN: Final = 10
# The most objects of a bulk write: a reviewer cannot judge more, and each costs a request.
_MOST: Final = 250
_FARTHEST: Final = 9_900  # the highest offset of a full page
_TOO_MANY: Final = (
    "A reviewer is shown every object that a call changes, and {} {} are more than the 250 they can be asked about. "
    "Nothing was sent. Split the call."
)


async def incident(lookup: Lookup, params: Params) -> JSON:
    return _incident(await lookup("incidents.get_incident", params["incident_id"]))


async def new_incident(lookup: Lookup, params: Params) -> JSON:
    """Read the service of a new incident, and the people that it will page."""
    found = (await lookup("services.get_service", params["service_id"])).get("service", {})
    return {
        "service": _named(found),
        "escalation_policy": _named(found.get("escalation_policy") or {}),
        **await _routed_to(lookup, params),
    }


async def changed_incident(lookup: Lookup, params: Params) -> JSON:
    """Read an incident, and the users or policy that the change routes it to."""
    found = {**await incident(lookup, params), **await _routed_to(lookup, params)}
    if moved := params.get("service_id"):
        found["to_service"] = _named((await lookup("services.get_service", moved)).get("service") or {})
    return found


async def _routed_to(lookup: Lookup, params: Params) -> JSON:
    """Read the names behind the ids that a call routes to: users and an escalation policy."""
    found: dict[str, Any] = {}
    if users := list(dict.fromkeys(params.get("assignee_ids") or ())):
        if len(users) > _MOST:
            raise ApprovalError(_TOO_MANY.format(len(users), "users"))
        found["to_users"] = [_named((await lookup("users.get_user", user)).get("user") or {}) for user in users]
    if policy := params.get("escalation_policy_id"):
        found["to_policy"] = await _policy_name(lookup, policy)
    return found


async def _policy_name(lookup: Lookup, policy_id: str) -> JSON:
    read = await lookup("escalation_policies.get_escalation_policy", policy_id)
    return _named(read.get("escalation_policy") or {})


async def incidents(lookup: Lookup, params: Params) -> JSON:
    wanted = list(dict.fromkeys(entry["id"] for entry in params["incidents"]))
    return {"incidents": await _all(lookup, wanted), "of": len(params["incidents"])}


async def merge(lookup: Lookup, params: Params) -> JSON:
    return {
        "into": await incident(lookup, params),
        "sources": await _all(lookup, list(dict.fromkeys(params["source_incident_ids"]))),
        "of": len(params["source_incident_ids"]),
    }


async def _all(lookup: Lookup, incident_ids: Sequence[str]) -> list[JSON]:
    """Read every incident of a bulk call, so that a change of any makes the approval stale."""
    if len(incident_ids) > _MOST:
        raise ApprovalError(_TOO_MANY.format(len(incident_ids), "incidents"))
    return [_incident(await lookup("incidents.get_incident", each)) for each in incident_ids]


async def service(lookup: Lookup, params: Params) -> JSON:
    return await _service(lookup, params["service_id"])


async def new_service(lookup: Lookup, params: Params) -> JSON:
    """Read the escalation policy that a new service will use."""
    return {"to_policy": await _policy_name(lookup, params["escalation_policy_id"])}


async def changed_service(lookup: Lookup, params: Params) -> JSON:
    """Read a service, and the escalation policy that the change gives it."""
    found = await service(lookup, params)
    policy = params.get("escalation_policy_id")
    return {**found, "to_policy": await _policy_name(lookup, policy)} if policy else found


async def window(lookup: Lookup, params: Params) -> JSON:
    """Read an active or future maintenance window from the list of them."""
    wanted, offset = params["window_id"], 0
    while True:
        read = await lookup("maintenance_windows.list_maintenance_windows", filter="open", limit=100, offset=offset)
        windows = read.get("maintenance_windows") or ()
        found = next((each for each in windows if each.get("id") == wanted), None)
        if found is not None or not read.get("more") or not windows or offset >= _FARTHEST:
            break
        offset += len(windows)
    if found is None:
        return {"window": wanted, "listed": False}
    return {
        "window": wanted,
        "description": found.get("description"),
        "start": found.get("start_time"),
        "end": found.get("end_time"),
        "services": [_named(each) for each in found.get("services") or ()],
    }


async def window_services(lookup: Lookup, params: Params) -> JSON:
    wanted = list(dict.fromkeys(params["service_ids"]))
    if len(wanted) > _MOST:
        raise ApprovalError(_TOO_MANY.format(len(wanted), "services"))
    shown = [await _service(lookup, service_id) for service_id in wanted]
    return {"services": shown, "of": len(params["service_ids"])}


async def escalation_policy(lookup: Lookup, params: Params) -> JSON:
    """Read an escalation policy, and the services that use it."""
    found = (await lookup("escalation_policies.get_escalation_policy", params["policy_id"])).get(
        "escalation_policy", {}
    )
    return {
        "escalation_policy": _named(found),
        "num_loops": found.get("num_loops"),
        "rules": [
            {
                "after_minutes": rule.get("escalation_delay_in_minutes"),
                "targets": [_named(to) for to in rule.get("targets") or ()],
            }
            for rule in found.get("escalation_rules") or ()
        ],
        "services": [_named(used) for used in found.get("services") or ()],
    }


async def _service(lookup: Lookup, service_id: str) -> JSON:
    """Read a service with its open incidents."""
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


def _incident(response: JSON) -> JSON:
    found = response.get("incident") or {}
    return {
        "incident": found.get("id"),
        "title": found.get("title"),
        "status": found.get("status"),
        "urgency": found.get("urgency"),
        "service": _named(found.get("service") or {}),
        "assignees": sorted(
            (_named(each.get("assignee") or {}) for each in found.get("assignments") or ()),
            key=lambda assignee: str(assignee["id"]),
        ),
    }


def _named(reference: JSON) -> JSON:
    return {"id": reference.get("id"), "name": reference.get("name") or reference.get("summary")}
