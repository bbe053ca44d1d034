"""Build the request body of each write from an operation's parameters.

The generated body classes are closed and strict. They refuse a name or value that PagerDuty's schema does not have,
before policy judges the call and before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import field, frozen
from pagerduty_client import models as m

from arx_wrapper.model import Params

JSON = dict[str, Any]


def _same(value: Any) -> Any:
    return value


@frozen
class _Member:
    """The member of a body that a parameter sends.

    Attributes:
        name: Its name in PagerDuty's schema.
        made: Returns its value, given the parameter's.
    """

    name: str
    made: Callable[[Any], object] = _same


def _plain(*names: str) -> dict[str, _Member]:
    return {name: _Member(name) for name in names}


def _to(kind: str) -> Callable[[str | None], Mapping[str, str] | None]:
    """Return a function that turns an id into a reference, and null into null."""
    return lambda identifier: None if identifier is None else {"id": identifier, "type": f"{kind}_reference"}


def _to_each(kind: str, within: str | None = None) -> Callable[[list[str]], object]:
    """Return a function that turns ids into references; with `within`, each in an object's member of that name."""
    if within is None:
        return lambda identifiers: [_to(kind)(identifier) for identifier in identifiers]
    return lambda identifiers: [{within: _to(kind)(identifier)} for identifier in identifiers]


# The member that each parameter sends. `fields` and `filters` must not set these members: policy judges the parameter,
# and another name for the same member would bypass it.
_REFERENCES: Final = {
    "priority_id": _Member("priority", _to("priority")),
    "escalation_policy_id": _Member("escalation_policy", _to("escalation_policy")),
    "assignee_ids": _Member("assignments", _to_each("user", "assignee")),
}
_TYPE: Final = {"incident_type": _Member("incident_type", lambda name: {"name": name})}
_NEW_INCIDENT: Final = {
    **_plain("title", "urgency", "incident_key", "conference_bridge"),
    **_REFERENCES,
    **_TYPE,
    "service_id": _Member("service", _to("service")),
    "body": _Member("body", lambda text: {"type": "incident_body", "details": text}),
}
_INCIDENT: Final = {
    **_plain("status", "title", "urgency", "resolution", "escalation_level", "conference_bridge"),
    **_REFERENCES,
    **_TYPE,
    "service_id": _Member("service", _to("service")),
}
_ALERT: Final = {**_plain("status"), "parent_incident_id": _Member("incident", _to("incident"))}
_SERVICE: Final = {
    **_plain("name", "description", "status"),
    "escalation_policy_id": _Member("escalation_policy", _to("escalation_policy")),
}
_NEW_SERVICE: Final = {name: member for name, member in _SERVICE.items() if name != "status"}
_INTEGRATION: Final = {
    **_plain("type", "name"),
    "vendor_id": _Member("vendor", _to("vendor")),
}
_POLICY: Final = {
    **_plain("name", "description", "num_loops"),
    "rules": _Member("escalation_rules", lambda rules: [m.EscalationRuleWrite.writable(rule) for rule in rules]),
    "team_ids": _Member("teams", _to_each("team")),
}
_WINDOW: Final = {
    **_plain("start_time", "end_time", "description"),
    "service_ids": _Member("services", _to_each("service")),
}
_FILTERS: Final = {
    **_plain("urgency", "service_ids", "team_ids"),
    "since": _Member("created_at_start"),
    "until": _Member("created_at_end"),
}


@frozen
class Sent:
    """Build the body of a write that sends its parameters and nothing else.

    Attributes:
        model: The name of the generated class of the body.
        envelope: The body's one member, which holds the others; None when the body holds them itself.
        own: The members that parameters send. The typed method has a parameter for each.
        fixed: Members that are the same in every call.
        further: The parameter that holds members without a parameter of their own.
        refused: A member that `fields` must not set, because it names another target of the write.
        required: Required parameters whose members PagerDuty's schema does not require.
    """

    model: str
    envelope: str | None
    own: Mapping[str, _Member]
    fixed: Mapping[str, str] = field(factory=dict)
    further: str | None = None
    refused: str | None = None
    required: tuple[str, ...] = ()

    def __call__(self, p: Params) -> object:
        if self.refused:
            _refuse_other_targets(p, self.refused)
        members = _sent(p, self.own, further=self.further, **self.fixed)
        return getattr(m, self.model).parse({self.envelope: members} if self.envelope else members)

    @property
    def sent(self) -> dict[str, str]:
        """Return the name of the member that each parameter sends."""
        return {name: member.name for name, member in self.own.items()}


_REFERENCE: Final = {"type": "incident_reference"}
ACKNOWLEDGE_INCIDENT: Final = Sent("UpdateIncidentBody", "incident", {}, {**_REFERENCE, "status": "acknowledged"})
RESOLVE_INCIDENT: Final = Sent(
    "UpdateIncidentBody", "incident", _plain("resolution"), {**_REFERENCE, "status": "resolved"}
)
SNOOZE_INCIDENT: Final = Sent("SnoozeIncidentBody", None, _plain("duration"))
MERGE_INCIDENTS: Final = Sent(
    "MergeIncidentsBody", None, {"source_incident_ids": _Member("source_incidents", _to_each("incident"))}
)
_ASSIGNEES: Final = {"assignee_ids": _REFERENCES["assignee_ids"]}
REASSIGN_INCIDENT: Final = Sent("UpdateIncidentBody", "incident", _ASSIGNEES, _REFERENCE, required=("assignee_ids",))
ALERT: Final = Sent("UpdateAlertBody", "alert", _ALERT, {"type": "alert"})
NEW_SERVICE: Final = Sent("CreateServiceBody", "service", _NEW_SERVICE, {"type": "service"}, "fields")
SERVICE: Final = Sent("UpdateServiceBody", "service", _SERVICE, {"type": "service"}, "fields")
# The path names the service.
INTEGRATION: Final = Sent("CreateServiceIntegrationBody", "integration", _INTEGRATION, {}, "fields", refused="service")
# Assigning a policy to a service is a change of the service.
_POLICIES: Final = ("escalation_policy", _POLICY, {"type": "escalation_policy"}, "fields", "services")
NEW_ESCALATION_POLICY: Final = Sent("CreateEscalationPolicyBody", *_POLICIES)
ESCALATION_POLICY: Final = Sent("UpdateEscalationPolicyBody", *_POLICIES)
INCIDENT_NOTE: Final = Sent("AddIncidentNoteBody", "note", _plain("content"))
MAINTENANCE_WINDOW: Final = Sent(
    "CreateMaintenanceWindowBody", "maintenance_window", _WINDOW, {"type": "maintenance_window"}
)


def create_incident(p: Params) -> object:
    return m.CreateIncidentBody.parse({"incident": _sent(p, _NEW_INCIDENT, type="incident")})


def update_incident(p: Params) -> object:
    return m.UpdateIncidentBody.parse({"incident": _incident(p)})


def manage_incidents(p: Params) -> object:
    return m.ManageIncidentsBody.parse({"incidents": [{"id": one["id"], **_incident(one)} for one in p["incidents"]]})


def event_rule(p: Params) -> object:
    return m.EventRuleWrite.parse(p["rule"])


def analytics(p: Params) -> object:
    filters = _sent(p, _FILTERS, further="filters")
    body = _sent(p, _plain("aggregate_unit", "time_zone", "order", "order_by"))
    return m.AnalyticsQuery.parse({**body, "filters": filters} if filters else body)


def _incident(p: Params) -> JSON:
    return _sent(p, _INCIDENT, type="incident_reference")


def _sent(p: Params, own: Mapping[str, _Member], *, further: str | None = None, **fixed: str) -> JSON:
    """Return the members of an object that a call sends.

    Args:
        p: The parameters.
        own: The members that parameters send.
        further: The parameter that holds members without a parameter of their own.
        fixed: Members that are the same in every call.

    Raises:
        TakenError: a further member has a parameter of its own.
    """
    members = dict(p.get(further, {})) if further else {}
    for name, member in own.items():
        if member.name in members:
            raise TakenError(
                f"{further}.{member.name}", "has a parameter of its own", f"the parameter {name!r} instead"
            )
    return {**fixed, **members, **{member.name: member.made(p[name]) for name, member in own.items() if name in p}}


def _refuse_other_targets(p: Params, member: str) -> None:
    if member in p.get("fields", {}):
        raise TakenError(f"fields.{member}", "is set by another parameter or operation", "no such member")


class TakenError(ValueError):
    """A further member whose effect policy would not judge."""

    def __init__(self, path: str, problem: str, accepted: str) -> None:
        super().__init__(problem)
        self.path, self.problem, self.accepted = path, problem, accepted
