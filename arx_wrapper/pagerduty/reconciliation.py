"""Compare PagerDuty's logs with the connector's audit log (reconciliation).

An act of the requester that only PagerDuty's log entries show was done outside the connector. An act that only the
audit log shows changed nothing in PagerDuty, or the audit log is wrong. Changes of the configuration are compared with
PagerDuty's audit records, for all actors; see `configuration_changes.py`. PagerDuty is read through governed calls, so
the calling agent needs `users:read`, `incidents:read`, `incidents:read_log` and `audit:read`.

`theirs` and `ours` in names mean PagerDuty's logs and the connector's audit log.
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
_LOGGED: Final[Mapping[str, Operation]] = {
    operation.log_entry: operation for operation in OPERATIONS.values() if operation.log_entry
}
_AT_ONCE: Final = timedelta(seconds=5)


@frozen(kw_only=True)
class Activity:
    """One act on an incident.

    Attributes:
        operation: The operation that has this effect.
        at: The time of the act, aware.
        source: The id of PagerDuty's log entry, or of the audit log's intent.
        agent_id: The agent that did it; None when only PagerDuty shows it.
        status: The status in the audit log; None when only PagerDuty shows it.
        certain: Whether the audit log proves the act on this incident. False: it may have happened, because a bulk
            change is recorded as a whole.
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
        incidents: The number of incidents that were compared.
        matched: The number of acts in both logs.
        theirs: Acts that only PagerDuty shows.
        ours: Acts that only the audit log shows.
        confirmed: Acts with an unknown outcome in the audit log that PagerDuty's log confirms.
        configuration: The changes of the account's configuration; None when they were not compared.
    """

    incidents: int = 0
    matched: int = 0
    theirs: list[Activity] = field(factory=list)
    ours: list[Activity] = field(factory=list)
    confirmed: list[Activity] = field(factory=list)
    configuration: ConfigurationChanges | None = None


async def reconcile(
    pd: PagerDutyConnector, *, requester_email: str, since: datetime, until: datetime, configuration: bool = True
) -> Reconciliation:
    """Compare PagerDuty's logs with the audit log over a span of time.

    Args:
        pd: The connector that reads PagerDuty, and whose audit log is compared.
        requester_email: The PagerDuty user whose acts on incidents are compared.
        since, until: The span, aware. Incidents that were created in it are compared.
        configuration: Whether to compare changes of the configuration as well, by all actors.

    Raises:
        ConfigError: the span is empty, or PagerDuty has no such user.
        PagerDutyError: PagerDuty's audit records cannot be read by this key (403) or in this account (402).
    """
    if since >= until:
        raise ConfigError(f"The span is empty: {since.isoformat()} is not before {until.isoformat()}.")
    found, began = Reconciliation(), pd.backends.clock()
    # Read first: a key that may not read audit records fails here, before incidents are read one by one.
    changes = await recorded_changes(pd, since, until) if configuration else None
    user_id = await _user_id(pd, requester_email)
    seen: set[str] = set()
    shown: list[Activity] = []
    span = {"since": since.isoformat(), "until": until.isoformat()}
    async for incident in pd.iterate("incidents:read", span):
        seen.add(str(incident.id))
        shown += await _theirs(pd, str(incident.id), user_id, since, until)
    found.incidents = len(seen)
    # Read last, so that calls made by other connectors meanwhile are in both logs.
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
    # Creating an incident also assigns it. These assignments are not acts of their own.
    created = [act.at for act in found.get("trigger_log_entry", ())]
    if "assign_log_entry" in found:
        found["assign_log_entry"] = [
            act for act in found["assign_log_entry"] if all(abs(act.at - at) > _AT_ONCE for at in created)
        ]
    return [act for acts in found.values() for act in acts]


def _ours(writes: Sequence[SentWrite]) -> Iterable[tuple[SentWrite, Activity]]:
    """Yield every act of every write that was sent, one for each incident."""
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
    """Yield the acts of a write: incident id, operation, and True when it is certain."""
    called = write.operation
    ids, effects = write.intent.metadata.get("ids", {}), write.intent.metadata.get("effects", ())
    logged = {operation.name for operation in _LOGGED.values()}
    shown = [(operation, count) for operation, _, count in effects if operation in logged]
    created = write.after.get("id")
    # A merge resolves its sources, but PagerDuty's log shows some of them only as merged.
    for source in ids.get("source_incident_ids", ()):
        yield from ((source, operation, False) for operation, _ in shown)
    many = ids.get("incidents", ())
    for incident in many:
        yield from ((incident, operation, count == len(many)) for operation, count in shown)
    if "source_incident_ids" in ids or "incidents" in ids:
        return
    # PagerDuty's log does not show every other effect: not a snooze of an acknowledged incident, the resolution of one
    # of several alerts, or a change of the escalation level.
    certain = {called.name, *called.certain_effects}
    if one := ids.get("incident_id") or created:
        yield from ((one, operation, operation in certain) for operation, _ in shown)


def _match(
    found: Reconciliation, began: datetime, theirs: list[Activity], ours: Iterable[tuple[SentWrite, Activity]]
) -> None:
    """Match acts on incidents. PagerDuty may not have shown acts that were done after reading began."""
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
                found.confirmed.append(act)
        elif act.status == "success" and act.certain and write.latest < began:
            found.ours.append(act)
    found.theirs = left
