"""Say in plain words what each write does, for reviewers: on the command line, in Slack, in MCP and on the page.

Every function takes the parameters and the state of what the call changes, as `target_state` read it (None when it was
not read), and returns one or two sentences. Names come from PagerDuty and from the agent: they are quoted, their own
quotation marks are replaced, and long ones are cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from arx_wrapper.model import JSON, Params

_NAMED: Final = 3
_LONGEST: Final = 80
_SHOWN: Final = 10  # open incidents that the state holds at most
_QUOTES: Final = str.maketrans(dict.fromkeys('"\u201c\u201d\u201e\u201f\u00ab\u00bb\uff02', "'"))
_VERBS: Final = {"resolved": "Resolve {}", "acknowledged": "Acknowledge {}", "triggered": "Trigger {} again"}
_ACTIONS: Final = {"annotate": "annotates them", "extract": "extracts members of theirs"}
_REROUTES: Final = ("assignee_ids", "escalation_policy_id", "escalation_level", "service_id")
_EDITED: Final = ("title", "urgency", "priority_id", "resolution", "conference_bridge", "incident_type")
_STOPS: Final = {
    "disabled": "Disable {}: its alerts page nobody",
    "maintenance": "Put {} into maintenance: its alerts page nobody",
    "active": "Enable {}",
}


def create_incident(params: Params, target: JSON | None) -> str:
    """Say which incident is created, and whom it pages."""
    state = target or {}
    urgency = f"{params['urgency']}-urgency incident" if "urgency" in params else "incident"
    article = "an" if urgency[0] in "aeiou" else "a"
    where = _reference(state.get("service"), params["service_id"], "service")
    made = f"Create {article} {urgency} {quoted(params['title'])} on {where}."
    if params.get("assignee_ids"):
        return f"{made} It pages {_people(params, state)}."
    if policy := params.get("escalation_policy_id"):
        return f"{made} It pages who is on call for {_policy(state.get('to_policy'), policy)}."
    if policy := state.get("escalation_policy"):
        return f"{made} It pages who is on call for {_policy(policy, '')}."
    return f"{made} It pages who is on call for the service."


def update_incident(params: Params, target: JSON | None) -> str:
    """Say what changes about an incident."""
    return _change(params, target, _incident(target, params["incident_id"]))


def manage_incidents(params: Params, target: JSON | None) -> str:
    """Say how many incidents change in which way, and name the first of them."""
    entries = params["incidents"]
    known = {str(each.get("incident")): each for each in (target or {}).get("incidents") or ()}
    if len(entries) == 1:
        return _change(
            entries[0], known.get(entries[0]["id"]), _incident(known.get(entries[0]["id"]), entries[0]["id"])
        )
    kinds = Counter(kind for entry in entries for kind in _kinds(entry))
    done = _listed(f"{verb} {count}" for verb, count in kinds.items()) or "leave as they are"
    names = _some([_titled(known.get(entry["id"]), entry["id"]) for entry in entries])
    return f"Change {len(entries)} incidents at once: {done}. They are {names}."


def snooze_incident(params: Params, target: JSON | None) -> str:
    """Say which incident is snoozed, and for how long."""
    for_long = _span(params["duration"])
    return f"Snooze {_incident(target, params['incident_id'])} for {for_long}: it notifies nobody until then."


def merge_incidents(params: Params, target: JSON | None) -> str:
    """Say which incidents are resolved into which."""
    state = target or {}
    known = {str(each.get("incident")): each for each in state.get("sources") or ()}
    sources = [_titled(known.get(each), each) for each in params["source_incident_ids"]]
    into = _incident(state.get("into"), params["incident_id"])
    number = f"{len(sources)} incidents are" if len(sources) != 1 else "1 incident is"
    return f"Merge into {into}: {number} resolved and their alerts move, {_some(sources)}."


def add_note(params: Params, target: JSON | None) -> str:
    """Say which note is added to which incident."""
    return f"Add a note to {_incident(target, params['incident_id'])}: {quoted(params['content'])}."


def reassign_incident(params: Params, target: JSON | None) -> str:
    """Say who is paged for an incident instead of whom."""
    state = target or {}
    before = _some([_name(each) for each in state.get("assignees") or ()])
    instead = f" instead of {before}" if before else ""
    return f"Reassign {_incident(target, params['incident_id'])} to {_people(params, state)}{instead}."


def resolve_incident(params: Params, target: JSON | None) -> str:
    """Say which incident is resolved."""
    why = f" with the resolution {quoted(params['resolution'])}" if params.get("resolution") else ""
    return f"Resolve {_incident(target, params['incident_id'])}{why}."


def acknowledge_incident(params: Params, target: JSON | None) -> str:
    """Say which incident is acknowledged."""
    return f"Acknowledge {_incident(target, params['incident_id'])}: it stops escalating."


def update_alert(params: Params, target: JSON | None) -> str:
    """Say what becomes of an alert."""
    alert = f"alert {quoted(params['alert_id'])} of {_incident(target, params['incident_id'])}"
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
    policy = _policy((target or {}).get("to_policy"), params["escalation_policy_id"])
    return f"Create service {quoted(params['name'])}; its alerts page {policy}.{_further(params)}"


def update_service(params: Params, target: JSON | None) -> str:
    """Say what changes about a service, its silencing first."""
    state, service = target or {}, _service(target, params["service_id"])
    parts = []
    if status := params.get("status"):
        lost = "" if status == "active" else _open_incidents(state, "would stay open")
        parts.append(_STOPS.get(status, f"Set {{}} to {status}").format(service) + "." + lost)
    changes = [f"{name} to {quoted(params[name])}" for name in ("name", "description") if name in params]
    if "escalation_policy_id" in params:
        changes.append(f"escalation policy to {_policy_name(state, params)}")
    changes += sorted((params.get("fields") or {}).keys())
    if changes:
        parts.append(f"Change {'its' if parts else service + ':'} {_listed(changes)}.")
    return " ".join(parts) or f"Send {service} without a change."


def delete_service(params: Params, target: JSON | None) -> str:
    """Say which service is deleted, and which incidents lose it."""
    return (
        f"Delete {_service(target, params['service_id'])}.{_open_incidents(target or {}, 'would lose their service')}"
    )


def create_integration(params: Params, target: JSON | None) -> str:
    """Say which integration is added to which service."""
    name = f" {quoted(params['name'])}" if params.get("name") else ""
    kind = str(params["type"]).replace("_", " ")
    article = "an" if kind[:1] in "aeiou" else "a"
    added = f"Add {article} {kind}{name} to {_service(target, params['service_id'])}."
    return f"{added} Whoever holds its key can open and resolve incidents there."


def create_escalation_policy(params: Params, target: JSON | None) -> str:
    """Say which escalation policy is created, and whom it notifies."""
    return f"Create escalation policy {quoted(params['name'])} with {_rules(params['rules'])}.{_further(params)}"


def update_escalation_policy(params: Params, target: JSON | None) -> str:
    """Say what changes about an escalation policy, and which services use it."""
    state = target or {}
    changes = [f"{name} to {quoted(params[name])}" for name in ("name", "description") if name in params]
    if "num_loops" in params:
        changes.append(f"number of repeats to {params['num_loops']}")
    if "rules" in params:
        changes.append(f"rules to {_rules(params['rules'])}")
    if "team_ids" in params:
        changes.append(f"teams to {_some([quoted(team) for team in params['team_ids']]) or 'none'}")
    changes += sorted((params.get("fields") or {}).keys())
    policy = _policy(state.get("escalation_policy"), params["policy_id"])
    if not changes:
        return f"Send {policy} without a change."
    return f"Change {policy}: {_listed(changes)}.{_used_by(state, 'notify by it')}"


def delete_escalation_policy(params: Params, target: JSON | None) -> str:
    """Say which escalation policy is deleted, and which services lose it."""
    state = target or {}
    policy = _policy(state.get("escalation_policy"), params["policy_id"])
    return f"Delete {policy}.{_used_by(state, 'would lose their escalation policy')}"


def create_maintenance_window(params: Params, target: JSON | None) -> str:
    """Say which services are silent, and until when."""
    state = target or {}
    known = {str(_reference_id(each.get("service"))): each for each in state.get("services") or ()}
    names = [_service(known.get(each), each) for each in dict.fromkeys(params["service_ids"])]
    opened = sum(len(each.get("open_incidents") or ()) for each in known.values())
    have = "It has" if len(names) == 1 else "They have"
    tail = f" {have} {_count(opened, 'open incident')} now." if opened else ""
    return f"Silence {_some(names)} {_between(params['start_time'], params['end_time'])}.{tail}"


def delete_maintenance_window(params: Params, target: JSON | None) -> str:
    """Say which maintenance window ends, and which services page again."""
    state = target or {}
    names = _some([_reference(each, "", "service") for each in state.get("services") or ()])
    said = f" {quoted(state['description'])}" if state.get("description") else ""
    window = f"maintenance window{said or ' ' + quoted(params['window_id'])}"
    return f"End {window}: {names or 'its services'} can page again."


def create_event_rule(params: Params, target: JSON | None) -> str:
    """Say what a new global event rule does with events."""
    return f"Create a global event rule that {_actions(params['rule'])}."


def update_event_rule(params: Params, target: JSON | None) -> str:
    """Say what a changed global event rule does with events."""
    return f"Change global event rule {quoted(params['rule_id'])}: it then {_actions(params['rule'])}."


def quoted(value: object) -> str:
    """Return text in quotation marks that it cannot close itself, cut where it is long."""
    text = " ".join(str(value).translate(_QUOTES).split())
    return f'"{text}"' if len(text) <= _LONGEST else f'"{text[: _LONGEST - 1]}…"'


def _change(change: Params, target: JSON | None, incident: str) -> str:
    status = change.get("status")
    further = list(_edits(change, target or {}))
    if status:
        done = _VERBS.get(status, f"Set {{}} to {status}").format(incident)
        return f"{done}, and change {_listed(further)}." if further else f"{done}."
    return f"Change {incident}: {_listed(further)}." if further else f"Send {incident} without a change."


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
        yield f"assignment to {_people(change, target)}"
    if "escalation_policy_id" in change:
        yield f"escalation policy to {_policy_name(target, change)}"
    if "escalation_level" in change:
        yield f"escalation level to {change['escalation_level']}"
    if "service_id" in change:
        yield f"service to {quoted(_named(target.get('to_service')) or change['service_id'])}"
    if "incident_type" in change:
        yield f"type to {quoted(change['incident_type'])}"
    if "conference_bridge" in change:
        yield "its conference bridge"


def _kinds(entry: Params) -> Iterator[str]:
    if status := entry.get("status"):
        yield {"resolved": "resolve", "acknowledged": "acknowledge"}.get(status, f"set to {status}")
    if any(name in entry for name in _REROUTES):
        yield "reassign"
    if any(name in entry for name in _EDITED):
        yield "edit"


def _incident(target: JSON | None, incident_id: str) -> str:
    service = _named((target or {}).get("service"))
    on = f" on service {quoted(service)}" if service else ""
    return f"incident {_titled(target, incident_id)}{on}"


def _titled(target: JSON | None, incident_id: str) -> str:
    return quoted((target or {}).get("title") or incident_id)


def _service(target: JSON | None, service_id: str) -> str:
    return _reference((target or {}).get("service"), service_id, "service")


def _policy(reference: JSON | None, policy_id: str) -> str:
    return _reference(reference, policy_id, "escalation policy")


def _policy_name(target: JSON, params: Params) -> str:
    return quoted(_named(target.get("to_policy")) or params["escalation_policy_id"])


def _people(params: Params, target: JSON) -> str:
    known = {str(each.get("id")): each for each in target.get("to_users") or ()}
    return _some([_name(known.get(user) or {"id": user}) for user in params["assignee_ids"]]) or "nobody"


def _reference(reference: Any, identifier: str, kind: str) -> str:
    return f"{kind} {quoted(_named(reference) or identifier)}"


def _name(reference: JSON) -> str:
    return quoted(_named(reference) or "")


def _named(reference: Any) -> str | None:
    if not isinstance(reference, Mapping):
        return None
    found = reference.get("name") or reference.get("id")
    return None if found is None else str(found)


def _reference_id(reference: Any) -> object:
    return reference.get("id") if isinstance(reference, Mapping) else None


def _open_incidents(state: JSON, what: str) -> str:
    opened = len(state.get("open_incidents") or ())
    if not opened:
        return ""
    more, said = ("At least " if opened >= _SHOWN else ""), (what.replace("their", "its") if opened == 1 else what)
    return f" {more}{_count(opened, 'open incident')} {said}."


def _used_by(state: JSON, what: str) -> str:
    if "services" not in state:
        return ""
    services = [_name(each) for each in state["services"] or ()]
    said = what.replace("their", "its") if len(services) == 1 else what
    return f" {_count(len(services), 'service')} {said}: {_some(services)}." if services else " No service uses it."


def _rules(rules: Any) -> str:
    levels = list(rules)
    first = levels[0].get("targets") or () if levels and isinstance(levels[0], Mapping) else ()
    targets = _some([_kind(each) for each in first if isinstance(each, Mapping)])
    notified = f", {targets} first" if targets else ""
    return f"{_count(len(levels), 'level')}{notified}"


def _kind(target: JSON) -> str:
    kind = str(target.get("type") or "target").removesuffix("_reference")
    return f"{kind} {quoted(target.get('name') or target.get('id'))}"


def _actions(rule: Any) -> str:
    actions = rule.get("actions") if isinstance(rule, Mapping) else None
    said = [_action(action) for action in actions or () if isinstance(action, list) and action]
    return _listed(said) or "keeps the actions it has"


def _action(action: list[Any]) -> str:
    kind, value = str(action[0]), action[1] if len(action) > 1 else None
    if kind == "suppress":
        return "suppresses events" if value is not False else "does not suppress events"
    if kind == "route":
        return f"routes events to service {quoted(value)}" if value else "routes events nowhere, which suppresses them"
    if kind in _ACTIONS:
        return _ACTIONS[kind]
    return f"sets their {kind.replace('_', ' ')}" + (f" to {quoted(value)}" if isinstance(value, str) else "")


def _further(params: Params) -> str:
    names = sorted((params.get("fields") or {}).keys())
    return f" It also sets {_listed(names)}." if names else ""


def _some(names: list[str]) -> str:
    shown, more = names[:_NAMED], len(names) - _NAMED
    return _listed([*shown, f"{more} more"] if more > 0 else shown)


def _listed(parts: Iterable[str]) -> str:
    *first, last = list(parts) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _span(seconds: float) -> str:
    left, parts = int(seconds), []
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        number, left = divmod(left, size)
        if number:
            parts.append(_count(number, unit))
    return _listed(parts) or "0 seconds"


def _between(start: str, end: str) -> str:
    begins, ends = _moment(start), _moment(end)
    if begins is None or ends is None:
        return f"from {quoted(start)} to {quoted(end)}"
    last = f"{ends:%H:%M}" if begins.date() == ends.date() else f"{ends:%Y-%m-%d %H:%M}"
    return f"from {begins:%Y-%m-%d %H:%M} to {last} UTC ({_span((ends - begins).total_seconds())})"


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None
