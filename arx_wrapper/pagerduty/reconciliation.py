"""Reconciliation: what PagerDuty's own log shows of our requester, held against our audit log.

What only PagerDuty shows was done past the connector, with the same user. What only we have was reported as done, and
left no trace there: an act that changed nothing, or a log that is not to be trusted. Both are read through governed
calls, so the agent that asks needs `users:read`, `incidents:read` and `incidents:read_log`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen

from arx_wrapper.errors import ConfigError
from arx_wrapper.model import Operation
from arx_wrapper.pagerduty.operations import OPERATIONS

if TYPE_CHECKING:
    from arx_wrapper.audit import AuditRecord
    from arx_wrapper.pagerduty.connector import PagerDutyConnector

# The operation that leaves each type of PagerDuty's log entries.
_LOGGED: Final[Mapping[str, Operation]] = {row.log_entry: row for row in OPERATIONS.values() if row.log_entry}
_APART: Final = timedelta(minutes=2)
_AT_ONCE: Final = timedelta(seconds=5)


@frozen(kw_only=True)
class Activity:
    """Something that was done to an incident.

    Attributes:
        operation: The operation that has this effect.
        at: When, aware.
        source: PagerDuty's log entry, or our intent's id.
        agent_id: Who did it; None when only PagerDuty knows of it.
        status: How our record says that it ended.
        certain: Whether our record says that this was done to this incident, or only that it may have been: a bulk
            change is on record as a whole.
    """

    incident_id: str
    operation: str
    at: datetime
    source: str
    agent_id: str | None = None
    status: str | None = None
    certain: bool = True


@define
class Reconciliation:
    """The result of a comparison.

    Attributes:
        incidents: How many incidents were looked at.
        matched: Acts that both know of.
        theirs: Acts that only PagerDuty shows.
        ours: Acts that only our log has.
        settled: Acts whose outcome we did not know, and that PagerDuty shows to have happened.
    """

    incidents: int = 0
    matched: int = 0
    theirs: list[Activity] = field(factory=list)
    ours: list[Activity] = field(factory=list)
    settled: list[Activity] = field(factory=list)


async def reconcile(
    pd: PagerDutyConnector, *, requester_email: str, since: datetime, until: datetime
) -> Reconciliation:
    """Compare the two logs over a span of time.

    Args:
        pd: Reads PagerDuty's side, and its audit log is ours.
        requester_email: Whose acts, in PagerDuty.
        since, until: Aware. Incidents that were created in this span are looked at.

    Raises:
        ConfigError: PagerDuty has no such user.
    """
    user_id = await _user_id(pd, requester_email)
    found = Reconciliation()
    seen: set[str] = set()
    shown: list[Activity] = []
    span = {"since": since.isoformat(), "until": until.isoformat()}
    async for incident in pd.iterate("incidents:read", span):
        seen.add(str(incident.id))
        shown += await _theirs(pd, str(incident.id), user_id, since, until)
    found.incidents = len(seen)
    records = pd.audit.records(since=since, until=until)
    _match(found, shown, [act for act in await _ours(records) if act.incident_id in seen])
    return found


async def _user_id(pd: PagerDutyConnector, email: str) -> str:
    async for user in pd.iterate("users:read", {"query": email}):
        if user.email == email:
            return str(user.id)
    raise ConfigError(f"PagerDuty has no user with the e-mail address {email!a}.")


async def _theirs(
    pd: PagerDutyConnector, incident_id: str, user_id: str, since: datetime, until: datetime
) -> list[Activity]:
    found: dict[str, list[Activity]] = {}
    async for entry in pd.iterate("incidents:read_log", {"incident_id": incident_id}):
        plain: Mapping[str, Any] = entry.to_dict()
        kind = str(plain.get("type"))
        if kind not in _LOGGED or (plain.get("agent") or {}).get("id") != user_id:
            continue
        at = datetime.fromisoformat(plain["created_at"])
        if since <= at < until:
            act = Activity(incident_id=incident_id, operation=_LOGGED[kind].name, at=at, source=plain["id"])
            found.setdefault(kind, []).append(act)
    # Creating an incident brings assignments with it, which are no acts of their own.
    created = [act.at for act in found.get("trigger_log_entry", ())]
    if "assign_log_entry" in found:
        found["assign_log_entry"] = [
            act for act in found["assign_log_entry"] if all(abs(act.at - at) > _AT_ONCE for at in created)
        ]
    return [act for acts in found.values() for act in acts]


async def _ours(records: AsyncIterator[AuditRecord]) -> list[Activity]:
    """Every act of every write that went out, one for each incident."""
    intents: dict[str, AuditRecord] = {}
    acts = []
    async for record in records:
        if record.action_type == "connector.called":
            intents[record.id] = record
        if record.action_type != "connector.completed" or record.status not in ("success", "unknown"):
            continue
        intent = intents.pop(record.metadata.get("intent", ""), None)
        if intent is None:
            continue
        acts += [
            Activity(
                incident_id=incident_id,
                operation=operation,
                at=datetime.fromisoformat(intent.created_at),
                source=intent.id,
                agent_id=intent.agent_id,
                status=record.status,
                certain=certain,
            )
            for incident_id, operation, certain in _done(intent, record)
        ]
    return acts


def _done(intent: AuditRecord, outcome: AuditRecord) -> Iterable[tuple[str, str, bool]]:
    """Yield which incidents a write did what to, and whether that is certain."""
    row = OPERATIONS.get(intent.operation or "")
    if row is None:
        return
    ids, effects = intent.metadata.get("ids", {}), intent.metadata.get("effects", ())
    logged = {operation.name for operation in _LOGGED.values()}
    shown = [(operation, count) for operation, _, count in effects if operation in logged]
    created = outcome.metadata.get("after", {}).get("id")
    # A merge resolves its sources, but PagerDuty says of some only that they were merged.
    for source in ids.get("source_incident_ids", ()):
        yield from ((source, operation, False) for operation, _ in shown)
    many = ids.get("incidents", ())
    for incident in many:
        yield from ((incident, operation, count == len(many)) for operation, count in shown)
    if "source_incident_ids" in ids or "incidents" in ids:
        return
    # Not every other effect shows in PagerDuty's log: a snooze of an acknowledged incident, the end of one alert of
    # many, another escalation level.
    certain = {row.name, *row.certain_effects}
    if one := ids.get("incident_id") or (created if row.log_entry else None):
        yield from ((one, operation, operation in certain) for operation, _ in shown)


def _match(found: Reconciliation, theirs: list[Activity], ours: list[Activity]) -> None:
    left = list(theirs)
    for act in ours:
        near = [
            other
            for other in left
            if (other.incident_id, other.operation) == (act.incident_id, act.operation)
            and abs(other.at - act.at) <= _APART
        ]
        if near:
            left.remove(min(near, key=lambda other: abs(other.at - act.at)))
            found.matched += 1
            if act.status == "unknown":
                found.settled.append(act)
        elif act.status == "success" and act.certain:
            found.ours.append(act)
    found.theirs = left
