"""One act, one rule: what a write amounts to, whatever name it is called by.

An agent that may not resolve must not resolve by updating, by bulk management or by merging. Each function takes a
write's parameters and yields the other operations that the same act needs permission for, or the write itself at a
higher risk. Policy judges all of them and the strictest verdict wins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from arx_wrapper.model import EffectSpec, Params, Risk

# A service setting that stops or weakens its alerts, as surely as disabling the service does.
_SILENCING_FIELDS = frozenset(
    {
        "alert_creation",
        "alert_grouping",  # an alert that joins an open incident pages nobody
        "alert_grouping_parameters",
        "alert_grouping_timeout",
        "auto_pause_notifications_parameters",
        "auto_resolve_timeout",
        "incident_urgency_rule",
        "scheduled_actions",
        "support_hours",
    }
)
# What an event rule may do to an event without keeping it from anybody.
_LOUD_ACTIONS = ("route", "annotate", "extract", "priority")
_REROUTES = ("assignee_ids", "escalation_policy_id", "escalation_level")
_EDITS = ("title", "urgency", "priority_id", "conference_bridge")


def none(params: Params) -> Iterator[EffectSpec]:
    """The write is one thing only, whatever its parameters."""
    yield from ()


def update_incident(params: Params) -> Iterator[EffectSpec]:
    for operation in _incident_acts(params):
        yield EffectSpec(operation)


def manage_incidents(params: Params) -> Iterator[EffectSpec]:
    entries = params["incidents"]
    acts: Counter[str] = Counter()
    for entry in entries:
        acts.update(_incident_acts(entry))
        if any(name in entry for name in _EDITS) or entry.get("status") == "triggered":
            acts["incidents:update"] += 1
    yield EffectSpec("incidents:manage", len(entries))
    for operation, count in acts.items():
        yield EffectSpec(operation, count)


def read_alerts(params: Params) -> Iterator[EffectSpec]:
    # Two names for one request: each needs both permissions.
    yield EffectSpec("incidents:read_alerts")
    yield EffectSpec("alerts:read")


def snooze_incident(params: Params) -> Iterator[EffectSpec]:
    yield EffectSpec("incidents:acknowledge")  # PagerDuty acknowledges what it snoozes


def merge_incidents(params: Params) -> Iterator[EffectSpec]:
    # The sources end up resolved: merging is a way to close incidents.
    yield EffectSpec("incidents:resolve", len(params["source_incident_ids"]))


def update_alert(params: Params) -> Iterator[EffectSpec]:
    if params.get("status") == "resolved":
        yield EffectSpec("incidents:resolve")  # an incident resolves with its last alert
    if "parent_incident_id" in params:
        yield EffectSpec("incidents:merge")


def update_service(params: Params) -> Iterator[EffectSpec]:
    fields = params.get("fields") or {}
    forgets = not fields.get("acknowledgement_timeout", 1)  # null or 0: what is acknowledged never pages again
    if params.get("status") == "disabled" or forgets or not _SILENCING_FIELDS.isdisjoint(fields):
        yield EffectSpec("services:update", at_least=Risk.HIGH)


def event_rule(params: Params) -> Iterator[EffectSpec]:
    actions = params["rule"].get("actions")
    if not _lets_events_through(actions):
        yield EffectSpec("rules:update" if "rule_id" in params else "rules:create", at_least=Risk.HIGH)
    if any("resolve" in action for action in _listed(actions) if isinstance(action, list)):
        yield EffectSpec("incidents:resolve")  # an event that resolves closes the incident of its key


def create_integration(params: Params) -> Iterator[EffectSpec]:
    parsers = _listed((params.get("fields") or {}).get("email_parsers"))
    if any(parser.get("action") == "resolve" for parser in parsers if isinstance(parser, dict)):
        yield EffectSpec("incidents:resolve")  # whoever writes the right mail closes incidents


def _incident_acts(change: Params) -> Iterator[str]:
    if change.get("status") == "resolved":
        yield "incidents:resolve"
    if change.get("status") == "acknowledged":
        yield "incidents:acknowledge"
    if any(name in change for name in _REROUTES):
        yield "incidents:reassign"


def _lets_events_through(actions: Any) -> bool:
    """Whether a rule's actions are sure to leave events as loud as they are.

    PagerDuty suppresses what is routed nowhere; a severity decides on the urgency; actions that are not given stay as
    they are, and may suppress what new conditions select. Whatever is not known is not trusted either.
    """
    if not isinstance(actions, list) or not all(_is_action(action) for action in actions):
        return False
    routes = [action[1:] for action in actions if action[0] == "route"]
    somewhere = routes and all(len(to) == 1 and isinstance(to[0], str) and to[0] for to in routes)
    others = [action for action in actions if not (action[0] == "suppress" and len(action) == 2 and action[1] is False)]
    return bool(somewhere) and all(action[0] in _LOUD_ACTIONS for action in others)


def _is_action(action: Any) -> bool:
    return isinstance(action, list) and bool(action) and isinstance(action[0], str)


def _listed(value: Any) -> list[Any]:
    """A list, or none: what has another form is refused when the body is built."""
    return value if isinstance(value, list) else []
