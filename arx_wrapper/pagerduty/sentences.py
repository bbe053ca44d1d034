"""Describe each write to reviewers in plain words, for the command line, Slack, MCP and the console.

Each function takes the parameters and the state of the objects that the call changes, as `target_state.py` read it
(None when it was not read). It returns one or two sentences. Names come from PagerDuty and from the agent, so they are
quoted, their own quotation marks are replaced, and long ones are cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from string import Formatter
from typing import Final

from arx_wrapper.model import JSON, Params, Sentence
from arx_wrapper.pagerduty.effects import REROUTES
from arx_wrapper.pagerduty.sentence_parts import (
    actions_text,
    between,
    counted,
    further,
    incident_text,
    listed,
    name_text,
    named,
    open_incidents_text,
    people_text,
    policy_name_text,
    policy_text,
    quoted,
    reference_id,
    reference_text,
    rules_text,
    service_text,
    some,
    span,
    titled,
    used_by,
)

_VERBS: Final = {"resolved": "Resolve {}", "acknowledged": "Acknowledge {}", "triggered": "Trigger {} again"}
_EDITED: Final = ("title", "urgency", "priority_id", "resolution", "conference_bridge", "incident_type")
_STOPS: Final = {
    "disabled": "Disable {}: its alerts page nobody",
    "maintenance": "Put {} into maintenance: its alerts page nobody",
    "active": "Enable {}",
}


def say(template: str) -> Sentence:
    """Return a sentence made of a template: `{incident}` is the incident, `{name}` a parameter in quotation marks."""
    names = [name for _, name, _, _ in Formatter().parse(template) if name]

    def said(params: Params, target: JSON | None) -> str:
        return template.format_map({name: _part(name, params, target) for name in names})

    return said


def create_incident(params: Params, target: JSON | None) -> str:
    """Say which incident is created, and whom it pages."""
    state = target or {}
    urgency = f"{params['urgency']}-urgency incident" if "urgency" in params else "incident"
    article = "an" if urgency[0] in "aeiou" else "a"
    where = reference_text(state.get("service"), params["service_id"], "service")
    made = f"Create {article} {urgency} {quoted(params['title'])} on {where}."
    if params.get("assignee_ids"):
        return f"{made} It pages {people_text(params, state)}."
    if policy := params.get("escalation_policy_id"):
        return f"{made} It pages who is on call for {policy_text(state.get('to_policy'), policy)}."
    if policy := state.get("escalation_policy"):
        return f"{made} It pages who is on call for {policy_text(policy, '')}."
    return f"{made} It pages who is on call for the service."


def update_incident(params: Params, target: JSON | None) -> str:
    """Say what changes about an incident."""
    return _change(params, target, incident_text(target, params["incident_id"]))


def manage_incidents(params: Params, target: JSON | None) -> str:
    """Say how many incidents change in which way, and name the first of them."""
    entries = params["incidents"]
    known = {str(each.get("incident")): each for each in (target or {}).get("incidents") or ()}
    if len(entries) == 1:
        return _change(
            entries[0], known.get(entries[0]["id"]), incident_text(known.get(entries[0]["id"]), entries[0]["id"])
        )
    kinds = Counter(kind for entry in entries for kind in _kinds(entry))
    done = listed(f"{verb} {count}" for verb, count in kinds.items()) or "leave as they are"
    names = some([titled(known.get(entry["id"]), entry["id"]) for entry in entries])
    return f"Change {len(entries)} incidents at once: {done}. They are {names}."


def snooze_incident(params: Params, target: JSON | None) -> str:
    """Say which incident is snoozed, and for how long."""
    for_long = span(params["duration"])
    return f"Snooze {incident_text(target, params['incident_id'])} for {for_long}: it notifies nobody until then."


def merge_incidents(params: Params, target: JSON | None) -> str:
    """Say which incidents are resolved into which."""
    state = target or {}
    known = {str(each.get("incident")): each for each in state.get("sources") or ()}
    sources = [titled(known.get(each), each) for each in params["source_incident_ids"]]
    into = incident_text(state.get("into"), params["incident_id"])
    number = f"{len(sources)} incidents are" if len(sources) != 1 else "1 incident is"
    return f"Merge into {into}: {number} resolved and their alerts move, {some(sources)}."


def reassign_incident(params: Params, target: JSON | None) -> str:
    """Say who is paged for an incident instead of whom."""
    state = target or {}
    before = some([name_text(each) for each in state.get("assignees") or ()])
    instead = f" instead of {before}" if before else ""
    return f"Reassign {incident_text(target, params['incident_id'])} to {people_text(params, state)}{instead}."


def resolve_incident(params: Params, target: JSON | None) -> str:
    """Say which incident is resolved."""
    why = f" with the resolution {quoted(params['resolution'])}" if params.get("resolution") else ""
    return f"Resolve {incident_text(target, params['incident_id'])}{why}."


def update_alert(params: Params, target: JSON | None) -> str:
    """Say what becomes of an alert."""
    alert = f"alert {quoted(params['alert_id'])} of {incident_text(target, params['incident_id'])}"
    parts = []
    if params.get("status") == "resolved":
        parts.append(f"Resolve {alert}; the incident is resolved with its last alert.")
    elif "status" in params:
        parts.append(f"Set {alert} to {params['status']}.")
    if "parent_incident_id" in params:
        parts.append(f"Move {'it' if parts else alert} to incident {quoted(params['parent_incident_id'])}.")
    return " ".join(parts) or f"Send {alert} without a change."


def create_service(params: Params, target: JSON | None) -> str:
    """Say which service is created, and who is on call for it."""
    policy = policy_text((target or {}).get("to_policy"), params["escalation_policy_id"])
    return f"Create service {quoted(params['name'])}; its alerts page {policy}.{further(params)}"


def update_service(params: Params, target: JSON | None) -> str:
    """Say what changes about a service, its silencing first."""
    state, service = target or {}, service_text(target, params["service_id"])
    parts = []
    if status := params.get("status"):
        lost = "" if status == "active" else open_incidents_text(state, "would stay open")
        parts.append(_STOPS.get(status, f"Set {{}} to {status}").format(service) + "." + lost)
    changes = [f"{name} to {quoted(params[name])}" for name in ("name", "description") if name in params]
    if "escalation_policy_id" in params:
        changes.append(f"escalation policy to {policy_name_text(state, params)}")
    changes += sorted((params.get("fields") or {}).keys())
    if changes:
        parts.append(f"Change {'its' if parts else service + ':'} {listed(changes)}.")
    return " ".join(parts) or f"Send {service} without a change."


def delete_service(params: Params, target: JSON | None) -> str:
    """Say which service is deleted, and which incidents lose it."""
    lost = open_incidents_text(target or {}, "would lose their service")
    return f"Delete {service_text(target, params['service_id'])}.{lost}"


def create_integration(params: Params, target: JSON | None) -> str:
    """Say which integration is added to which service."""
    name = f" {quoted(params['name'])}" if params.get("name") else ""
    kind = str(params["type"]).replace("_", " ")
    article = "an" if kind[:1] in "aeiou" else "a"
    added = f"Add {article} {kind}{name} to {service_text(target, params['service_id'])}."
    return f"{added} Whoever holds its key can open and resolve incidents there."


def create_escalation_policy(params: Params, target: JSON | None) -> str:
    """Say which escalation policy is created, and whom it notifies."""
    return f"Create escalation policy {quoted(params['name'])} with {rules_text(params['rules'])}.{further(params)}"


def update_escalation_policy(params: Params, target: JSON | None) -> str:
    """Say what changes about an escalation policy, and which services use it."""
    state = target or {}
    changes = [f"{name} to {quoted(params[name])}" for name in ("name", "description") if name in params]
    if "num_loops" in params:
        changes.append(f"number of repeats to {params['num_loops']}")
    if "rules" in params:
        changes.append(f"rules to {rules_text(params['rules'])}")
    if "team_ids" in params:
        changes.append(f"teams to {some([quoted(team) for team in params['team_ids']]) or 'none'}")
    changes += sorted((params.get("fields") or {}).keys())
    policy = policy_text(state.get("escalation_policy"), params["policy_id"])
    if not changes:
        return f"Send {policy} without a change."
    return f"Change {policy}: {listed(changes)}.{used_by(state, 'notify by it')}"


def delete_escalation_policy(params: Params, target: JSON | None) -> str:
    """Say which escalation policy is deleted, and which services lose it."""
    state = target or {}
    policy = policy_text(state.get("escalation_policy"), params["policy_id"])
    return f"Delete {policy}.{used_by(state, 'would lose their escalation policy')}"


def create_maintenance_window(params: Params, target: JSON | None) -> str:
    """Say which services are silent, and until when."""
    state = target or {}
    known = {str(reference_id(each.get("service"))): each for each in state.get("services") or ()}
    names = [service_text(known.get(each), each) for each in dict.fromkeys(params["service_ids"])]
    opened = sum(len(each.get("open_incidents") or ()) for each in known.values())
    have = "It has" if len(names) == 1 else "They have"
    tail = f" {have} {counted(opened, 'open incident')} now." if opened else ""
    return f"Silence {some(names)} {between(params['start_time'], params['end_time'])}.{tail}"


def delete_maintenance_window(params: Params, target: JSON | None) -> str:
    """Say which maintenance window ends, and which services page again."""
    state = target or {}
    names = some([reference_text(each, "", "service") for each in state.get("services") or ()])
    said = f" {quoted(state['description'])}" if state.get("description") else ""
    window = f"maintenance window{said or ' ' + quoted(params['window_id'])}"
    return f"End {window}: {names or 'its services'} can page again."


def create_event_rule(params: Params, target: JSON | None) -> str:
    """Describe a new global event rule."""
    return f"Create a global event rule that {actions_text(params['rule'])}."


def update_event_rule(params: Params, target: JSON | None) -> str:
    """Describe a changed global event rule."""
    return f"Change global event rule {quoted(params['rule_id'])}: it then {actions_text(params['rule'])}."


def _part(name: str, params: Params, target: JSON | None) -> str:
    if name == "incident":
        return incident_text(target, params["incident_id"])
    value = params.get(name, "")
    return some([quoted(each) for each in value]) if isinstance(value, list) else quoted(value)


def _change(change: Params, target: JSON | None, incident: str) -> str:
    status = change.get("status")
    edits = list(_edits(change, target or {}))
    if status:
        done = _VERBS.get(status, f"Set {{}} to {status}").format(incident)
        return f"{done}, and change {listed(edits)}." if edits else f"{done}."
    return f"Change {incident}: {listed(edits)}." if edits else f"Send {incident} without a change."


def _edits(change: Params, target: JSON) -> Iterator[str]:
    for name in ("title", "resolution"):
        if name in change:
            yield f"{name} to {quoted(change[name])}"
    if "urgency" in change:
        yield f"urgency to {change['urgency']}"
    if "priority_id" in change:
        priority = change["priority_id"]
        yield f"priority to {'none' if priority is None else quoted(priority)}"
    if "assignee_ids" in change:
        yield f"assignment to {people_text(change, target)}"
    if "escalation_policy_id" in change:
        yield f"escalation policy to {policy_name_text(target, change)}"
    if "escalation_level" in change:
        yield f"escalation level to {change['escalation_level']}"
    if "service_id" in change:
        yield f"service to {quoted(named(target.get('to_service')) or change['service_id'])}"
    if "incident_type" in change:
        yield f"type to {quoted(change['incident_type'])}"
    if "conference_bridge" in change:
        yield "its conference bridge"


def _kinds(entry: Params) -> Iterator[str]:
    if status := entry.get("status"):
        yield {"resolved": "resolve", "acknowledged": "acknowledge"}.get(status, f"set to {status}")
    if any(name in entry for name in REROUTES):
        yield "reassign"
    if any(name in entry for name in _EDITED):
        yield "edit"
