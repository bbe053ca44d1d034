"""List the effects of each operation, for policy: the other operations that the same request performs.

An agent that may not resolve must not resolve by updating, by bulk management or by merging. Each rule takes a call's
parameters and yields these other operations, each with the parameters that a call of it would have. A rule may also
yield the operation itself at a higher risk. Policy judges all of them, and the strictest verdict wins.

The sentences that reviewers read are in `sentences.py`; the state of the changed objects is in `target_state.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from arx_wrapper.model import EffectSpec, Params, Risk, Unknown
from arx_wrapper.pagerduty.included import included_reads

# Service settings that stop or weaken its alerts, like disabling the service.
_SILENCING_FIELDS = frozenset(
    {
        "alert_creation",
        "alert_grouping",  # an alert that joins an open incident notifies no one
        "alert_grouping_parameters",
        "alert_grouping_timeout",
        "auto_pause_notifications_parameters",
        "auto_resolve_timeout",
        "incident_urgency_rule",
        "scheduled_actions",
        "support_hours",
    }
)
# Seconds. An incident acknowledged for more than a day pages nobody meanwhile.
_LONGEST_ACKNOWLEDGEMENT: Final = 86_400
# The actions of an event rule that do not keep an event from notifying people.
_ACTIONS_THAT_STILL_NOTIFY = ("route", "annotate", "extract", "priority")
_REROUTES_BY_POLICY = ("escalation_policy_id", "escalation_level", "service_id")
REROUTES: Final = ("assignee_ids", *_REROUTES_BY_POLICY)
"""The parameters of a change that decide who is assigned to an incident."""
_BY_POLICY = Unknown("an escalation policy, a level or a service decides who is assigned")
# Members of a bulk entry that are no edit. Any other member, also one that PagerDuty adds later, is an edit.
_NO_EDITS = frozenset({"id", "status", "resolution", *REROUTES})
_NUMBER: Final = re.compile(r"\d+")
# PagerDuty's name for the user whose API key is in use.
_ME: Final = "me"
# PagerDuty also accepts an incident's number in place of its id, and `me` in place of a user's.
ALIASES: Final[Mapping[str, re.Pattern[str]]] = {
    **dict.fromkeys(("incident_id", "source_incident_ids", "parent_incident_id", "incidents"), _NUMBER),
    "user_id": re.compile(_ME),
}
_ONESELF = Unknown("only PagerDuty knows the owner of the key")


def update_incident(params: Params) -> Iterator[EffectSpec]:
    yield from _change(params)


def manage_incidents(params: Params) -> Iterator[EffectSpec]:
    yield EffectSpec("incidents:manage", times=len(params["incidents"]))  # limits count every incident
    for entry in params["incidents"]:
        # With the parameters that `incidents:update` would have for this incident.
        alone = {**_requester(params), **entry, "incident_id": entry["id"]}
        del alone["id"]
        yield from _change(alone)
        if entry.keys() - _NO_EDITS or entry.get("status") == "triggered":
            yield EffectSpec("incidents:update", alone)


def read_alerts(params: Params) -> Iterator[EffectSpec]:
    # Both operations send the same request, so each needs both permissions.
    yield EffectSpec("incidents:read_alerts", params)
    yield EffectSpec("alerts:read", params)
    yield from included_reads(params)


def snooze_incident(params: Params) -> Iterator[EffectSpec]:
    yield EffectSpec("incidents:acknowledge", _incident(params))  # PagerDuty acknowledges a snoozed incident


def merge_incidents(params: Params) -> Iterator[EffectSpec]:
    # Merging resolves the source incidents.
    for source in params["source_incident_ids"]:
        yield EffectSpec("incidents:resolve", _incident(params, source))


def update_alert(params: Params) -> Iterator[EffectSpec]:
    parent = params.get("parent_incident_id")
    if params.get("status") == "resolved":
        # The last alert's resolution resolves its incident: the present one, or the one that the alert moves to.
        yield EffectSpec("incidents:resolve", _incident(params))
        if parent is not None:
            yield EffectSpec("incidents:resolve", _incident(params, parent))
    if parent is not None:
        sources = {"source_incident_ids": [params["incident_id"]]}
        yield EffectSpec("incidents:merge", {**_incident(params, parent), **sources})


def update_service(params: Params) -> Iterator[EffectSpec]:
    fields = params.get("fields") or {}
    silences = not _SILENCING_FIELDS.isdisjoint(fields) or _silences_for_over_a_day(fields)
    if params.get("status") == "disabled" or silences:
        yield EffectSpec("services:update", at_least=Risk.HIGH)


def event_rule(params: Params) -> Iterator[EffectSpec]:
    actions = params["rule"].get("actions")
    if not _still_notifies(actions):
        yield EffectSpec("rules:update" if "rule_id" in params else "rules:create", at_least=Risk.HIGH)
    if any("resolve" in action for action in _listed(actions) if isinstance(action, list)):
        yield EffectSpec("incidents:resolve")  # an event can resolve any incident that has its key


def create_integration(params: Params) -> Iterator[EffectSpec]:
    parsers = _listed((params.get("fields") or {}).get("email_parsers"))
    if any(parser.get("action") == "resolve" for parser in parsers if isinstance(parser, dict)):
        yield EffectSpec("incidents:resolve")  # an e-mail to the integration can resolve any of its incidents


def read(params: Params) -> Iterator[EffectSpec]:
    yield from included_reads(params)


def read_user(params: Params) -> Iterator[EffectSpec]:
    yield from included_reads(params)
    if params.get("user_id") == _ME:  # the same request as `users:read_me`
        yield EffectSpec("users:read_me", {name: value for name, value in params.items() if name != "user_id"})


def read_oneself(params: Params) -> Iterator[EffectSpec]:
    yield from included_reads({**params, "user_id": _ONESELF})
    yield EffectSpec("users:read_detail", {**params, "user_id": _ONESELF})


def _change(change: Params) -> Iterator[EffectSpec]:
    """Yield the effects of a change of one incident besides the update. Takes the parameters of `incidents:update`."""
    if change.get("status") == "resolved":
        note = {"resolution": change["resolution"]} if "resolution" in change else {}
        yield EffectSpec("incidents:resolve", {**_incident(change), **note})
    if change.get("status") == "acknowledged":
        yield EffectSpec("incidents:acknowledge", _incident(change))
    if any(name in change for name in REROUTES):
        by_policy = any(name in change for name in _REROUTES_BY_POLICY)
        assignees = _BY_POLICY if by_policy else change["assignee_ids"]
        yield EffectSpec("incidents:reassign", {**_incident(change), "assignee_ids": assignees})


def _incident(params: Params, incident_id: Any = None) -> dict[str, Any]:
    """Return the parameters that name one incident: the call's own, or another that it changes."""
    return {**_requester(params), "incident_id": params["incident_id"] if incident_id is None else incident_id}


def _requester(params: Params) -> dict[str, Any]:
    return {"requester_email": params["requester_email"]} if "requester_email" in params else {}


def _silences_for_over_a_day(fields: Params) -> bool:
    """Return True when a service's settings keep acknowledged incidents from paging again for more than a day."""
    if "acknowledgement_timeout" not in fields:
        return False
    seconds = fields["acknowledgement_timeout"]
    return type(seconds) is not int or not 0 < seconds <= _LONGEST_ACKNOWLEDGEMENT


def _still_notifies(actions: Any) -> bool:
    """Return True when a rule's actions certainly neither suppress events nor lower their urgency.

    PagerDuty suppresses an event that is routed nowhere, and a severity decides on the urgency. Actions that are not
    given remain in force, and may suppress the events that new conditions select. Unknown actions are not trusted.
    """
    if not isinstance(actions, list) or not all(_is_action(action) for action in actions):
        return False
    routes = [action[1:] for action in actions if action[0] == "route"]
    somewhere = routes and all(len(to) == 1 and isinstance(to[0], str) and to[0] for to in routes)
    others = [action for action in actions if not (action[0] == "suppress" and len(action) == 2 and action[1] is False)]
    return bool(somewhere) and all(action[0] in _ACTIONS_THAT_STILL_NOTIFY for action in others)


def _is_action(action: Any) -> bool:
    return isinstance(action, list) and bool(action) and isinstance(action[0], str)


def _listed(value: Any) -> list[Any]:
    """Return a list, or an empty one for any other value, which is refused when the body is built."""
    return value if isinstance(value, list) else []
