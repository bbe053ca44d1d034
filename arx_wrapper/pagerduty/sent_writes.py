"""Collect the recorded writes that may have taken effect, with the times and ids of their requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from arx_wrapper.model import Operation
from arx_wrapper.pagerduty.operations import TABLE

if TYPE_CHECKING:
    from arx_wrapper.audit import AuditLog, AuditRecord

# The largest expected difference between PagerDuty's clock and this machine's.
APART: Final = timedelta(minutes=2)


@frozen(kw_only=True)
class SentWrite:
    """A write that may have taken effect.

    Attributes:
        operation: The operation that was called.
        intent: Its intent's record.
        status: `success`, `unknown`, or `in_progress` while no outcome is recorded.
        after: The members that the outcome's record holds of the object that the write returned.
        account: Fingerprint of the key that it was sent with; None when it is unknown.
        earliest, latest: The bounds of the time at which it was sent, by this machine's clock.
        request_ids: The known ids that PagerDuty gave its requests.
        lost: Whether a request without a known id may have taken effect.
    """

    operation: Operation
    intent: AuditRecord
    status: str
    after: Mapping[str, Any]
    account: str | None
    earliest: datetime
    latest: datetime
    request_ids: frozenset[str]
    lost: bool

    def may_have_been_at(self, moment: datetime) -> bool:
        """Return True when PagerDuty may have recorded the write at this time of its own clock."""
        return self.earliest - APART <= moment <= self.latest + APART

    def seconds_from(self, moment: datetime) -> float:
        """Return the seconds between the write's response and a time."""
        return abs((self.latest - moment).total_seconds())


async def sent_writes(log: AuditLog, since: datetime, until: datetime) -> list[SentWrite]:
    """Return the writes that were sent in or near a span of time, in the order in which they ended.

    The time of a call that waited for a reviewer is the time at which it was sent.

    Args:
        log: The audit log.
        since, until: The span, aware.
    """
    intents: dict[str, AuditRecord] = {}
    found = []
    async for record in log.records(since=since - 2 * APART, until=until + 2 * APART):
        operation = TABLE.get(record.operation or "")
        if operation is None or not operation.writes:
            continue
        if record.action_type == "connector.called":
            intents[record.id] = record
        elif record.action_type in ("connector.completed", "connector.refused"):
            intent = intents.pop(str(record.metadata.get("intent")), None)
            if record.action_type == "connector.refused" or record.status not in ("success", "unknown"):
                continue
            if intent is None:  # the intent was recorded before the span began
                intent = await _intent(log, record)
            if intent is not None:
                found.append(_ended(operation, intent, record))
    open_ = (intent for intent in intents.values() if intent.status == "in_progress")
    return found + [_open(TABLE[str(intent.operation)], intent, until) for intent in open_]


async def _intent(log: AuditLog, outcome: AuditRecord) -> AuditRecord | None:
    named = outcome.metadata.get("intent")
    if isinstance(named, str):
        async for record in log.records(id=named, limit=1):
            return record
    return None


def _ended(operation: Operation, intent: AuditRecord, outcome: AuditRecord) -> SentWrite:
    recorded, ended = datetime.fromisoformat(intent.created_at), datetime.fromisoformat(outcome.created_at)
    attempts = [each for each in _listed(outcome.metadata.get("attempts")) if each.get("sent")]
    sent_for = timedelta(milliseconds=sum(each.get("duration_ms") or 0 for each in attempts))
    timed = bool(attempts) and outcome.status == "success"
    return SentWrite(
        operation=operation,
        intent=intent,
        status=outcome.status,
        after=outcome.metadata.get("after") or {},
        account=outcome.metadata.get("account"),
        earliest=max(recorded, ended - sent_for) if timed else recorded,
        latest=ended,
        request_ids=frozenset(each["request_id"] for each in attempts if each.get("request_id")),
        lost=not attempts or any(not each.get("request_id") for each in attempts),
    )


def _open(operation: Operation, intent: AuditRecord, until: datetime) -> SentWrite:
    recorded = datetime.fromisoformat(intent.created_at)
    return SentWrite(
        operation=operation,
        intent=intent,
        status="in_progress",
        after={},
        account=None,
        earliest=recorded,
        latest=max(recorded, until),
        request_ids=frozenset(),
        lost=True,
    )


def _listed(value: Any) -> Iterable[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
