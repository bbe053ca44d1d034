"""Reconciliation: PagerDuty's own logs, compared with our audit log.

What the log entries of incidents show of our requester, and only they, was done outside the connector, with the same
user. What only we have was reported as done, and left no trace there: an act that changed nothing, or a log that is not
to be trusted. The configuration's changes are compared by PagerDuty's audit records, whoever made them; see
`configuration_changes.py`. All of it is read through governed calls, so the agent that asks needs `users:read`,
`incidents:read`, `incidents:read_log` and `audit:read`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen

from arx_wrapper.errors import ConfigError
from arx_wrapper.model import Operation
from arx_wrapper.pagerduty.configuration_changes import ConfigurationChanges, compare, recorded_changes
from arx_wrapper.pagerduty.operations import OPERATIONS
from arx_wrapper.pagerduty.sent_writes import SentWrite, sent_writes

if TYPE_CHECKING:
    from arx_wrapper.pagerduty.connector import PagerDutyConnector

# The operation that leaves each type of PagerDuty's log entries.
_LOGGED: Final[Mapping[str, Operation]] = {row.log_entry: row for row in OPERATIONS.values() if row.log_entry}
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
        configuration: The changes of the account's configuration; None when they were left out.
    """

    incidents: int = 0
    matched: int = 0
    theirs: list[Activity] = field(factory=list)
    ours: list[Activity] = field(factory=list)
    settled: list[Activity] = field(factory=list)
    configuration: ConfigurationChanges | None = None


async def reconcile(
    pd: PagerDutyConnector, *, requester_email: str, since: datetime, until: datetime, configuration: bool = True
) -> Reconciliation:
    """Compare PagerDuty's logs with ours over a span of time.

    Args:
        pd: Reads PagerDuty's side, and its audit log is ours.
        requester_email: Whose acts on incidents, in PagerDuty.
        since, until: Aware. Incidents that were created in this span are looked at.
        configuration: Whether to compare changes of the configuration as well, whoever made them.

    Raises:
        ConfigError: the span is empty, or PagerDuty has no such user.
        PagerDutyError: PagerDuty's audit records cannot be read by this key (403) or in this account (402).
    """
    if since >= until:
        raise ConfigError(f"The span is empty: {since.isoformat()} is not before {until.isoformat()}.")
    found, began = Reconciliation(), pd.backends.clock()
    # First: a key that may not read them is found out before incidents are read one by one.
    changes = await recorded_changes(pd, since, until) if configuration else None
    user_id = await _user_id(pd, requester_email)
    seen: set[str] = set()
    shown: list[Activity] = []
    span = {"since": since.isoformat(), "until": until.isoformat()}
    async for incident in pd.iterate("incidents:read", span):
        seen.add(str(incident.id))
        shown += await _theirs(pd, str(incident.id), user_id, since, until)
    found.incidents = len(seen)
    # Last: what others do through connectors meanwhile is in both logs.
    writes = await sent_writes(pd.audit, since, until)
    if changes is not None:
        credentials = await pd.backends.vault.read(pd.org_id)
        found.configuration = compare(changes, writes, credentials, since=since, until=until, began=began)
    _match(found, began, shown, [pair for pair in _ours(writes) if pair[1].incident_id in seen])
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


def _ours(writes: Sequence[SentWrite]) -> Iterable[tuple[SentWrite, Activity]]:
    """Yield every act of every write that went out, one for each incident."""
    for write in writes:
        for incident_id, operation, certain in _done(write):
            yield (
                write,
                Activity(
                    incident_id=incident_id,
                    operation=operation,
                    at=write.latest,
                    source=write.intent.id,
                    agent_id=write.intent.agent_id,
                    status=write.status,
                    certain=certain,
                ),
            )


def _done(write: SentWrite) -> Iterable[tuple[str, str, bool]]:
    """Yield which incidents a write did what to, and whether that is certain."""
    row = write.operation
    ids, effects = write.intent.metadata.get("ids", {}), write.intent.metadata.get("effects", ())
    logged = {operation.name for operation in _LOGGED.values()}
    shown = [(operation, count) for operation, _, count in effects if operation in logged]
    created = write.after.get("id")
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


def _match(
    found: Reconciliation, began: datetime, theirs: list[Activity], ours: Iterable[tuple[SentWrite, Activity]]
) -> None:
    """Match acts on incidents. What was done since reading began, PagerDuty may not have shown."""
    left = list(theirs)
    for write, act in ours:
        near = [
            other
            for other in left
            if (other.incident_id, other.operation) == (act.incident_id, act.operation)
            and write.may_have_been_at(other.at)
        ]
        if near:
            left.remove(min(near, key=lambda other: write.seconds_from(other.at)))
            found.matched += 1
            if act.status != "success":
                found.settled.append(act)
        elif act.status == "success" and act.certain and write.latest < began:
            found.ours.append(act)
    found.theirs = left
