"""Derive from a call's parameters the people that it pages: assigned users, or the people on call."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from arx_wrapper.model import Paged, Params


def new_incident(params: Params) -> Iterator[Paged]:
    """Yield the assignees or the escalation policy that the call names, else the service's policy."""
    yield _named(params) or Paged(service=params["service_id"])


def users(name: str) -> Callable[[Params], Iterator[Paged]]:
    """Return the rule that yields the users whom a parameter names."""

    def named(params: Params) -> Iterator[Paged]:
        yield Paged(users=tuple(params[name]))

    return named


def changed_incident(params: Params) -> Iterator[Paged]:
    """Yield the assignees, escalation policy or level that the change names, if it names one."""
    if paged := _change(params, params["incident_id"]):
        yield paged


def changed_incidents(params: Params) -> Iterator[Paged]:
    """Yield the people that each entry of a bulk change would page as a change of its own."""
    for entry in params["incidents"]:
        if paged := _change(entry, entry["id"]):
            yield paged


def _change(params: Params, incident_id: str) -> Paged | None:
    paged, level = _named(params), params.get("escalation_level")
    return paged or (Paged(incident=incident_id, level=level) if level else None)


def _named(params: Params) -> Paged | None:
    if assignees := params.get("assignee_ids"):
        return Paged(users=tuple(assignees))
    if policy := params.get("escalation_policy_id"):
        return Paged(escalation_policy=policy, level=params.get("escalation_level"))
    return None
