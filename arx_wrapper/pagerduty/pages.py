"""Whom a call pages, told from its parameters: users who are assigned, or whoever is on call."""

from __future__ import annotations

from collections.abc import Iterator

from arx_wrapper.model import Paged, Params


def new_incident(params: Params) -> Iterator[Paged]:
    """Without assignees or an escalation policy of its own, the service's policy decides."""
    yield _named(params) or Paged(service=params["service_id"])


def changed_incident(params: Params) -> Iterator[Paged]:
    """A change pages somebody when it names assignees, an escalation policy or a level."""
    if paged := _change(params, params["incident_id"]):
        yield paged


def changed_incidents(params: Params) -> Iterator[Paged]:
    """Each entry of a bulk change pages whom the same change by itself would."""
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
