"""Append a batch of entries to the hash chain: number, link and hash each, as `record.py` defines the hash.

Entries that exceed a limit, or whose agent is suspended, are refused instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from attrs import define, field

from arx_wrapper.audit.chain_state import Key, Window
from arx_wrapper.audit.record import ActionType, AuditRecord, Details, Entry, Outline, Status, body_of, outline_from
from arx_wrapper.audit.store import Pending, Refused, Written
from arx_wrapper.errors import AuditError


@define(eq=False)
class Chain:
    """The end of the chain, inside one transaction.

    Attributes:
        seq, head: The last record's sequence number and hash.
        digest: HMAC-SHA256 with the log's key, as hex.
        suspended: The suspended agents, each with the reason.
        used: The number of uses in each window.
        writer: The name of the writing connection, which intents hold.
        records, outlines: The records to be added.
    """

    seq: int
    head: str
    digest: Callable[[bytes], str]
    suspended: Mapping[str, str]
    used: Mapping[Window, int]
    writer: str = ""
    records: list[Written] = field(factory=list, init=False)
    outlines: list[Outline] = field(factory=list, init=False)
    _counted: dict[Key, int] = field(factory=dict, init=False)

    def add(self, batch: Iterable[Pending], *, now: datetime) -> None:
        """Link the entries that are not refused, and set each `outcome`."""
        created_at = now.isoformat(timespec="microseconds")
        for pending in batch:
            entry = pending.entry
            uses = _uses(pending) if pending.usage else _NOTHING
            if pending.enforce_suspension and (refusal := self._refusal(pending, uses)):
                pending.outcome = refusal
                continue
            self.seq += 1
            member = entry.metadata.get
            details = Details(
                entry.intent_id or member("intent"),
                self.writer if entry.action_type == "connector.called" else None,
                uses or None,
                member("ids"),
                member("reviewer"),
                member("suspended"),
                member("digest"),
                member("text"),
                member("last"),
            )
            body = body_of(
                entry,
                seq=self.seq,
                created_at=created_at,
                prev_hash=self.head,
                counted=details.counted,
                writer=details.writer,
            )
            self.outlines.append(outline_from(entry, details, self.seq, created_at, self.head))
            self.head = self.digest(body)
            pending.outcome = Written(self.seq, entry.id, body, self.head)
            self.records.append(pending.outcome)
            for operation, count in uses.items():
                key = (entry.org_id, entry.agent_id, operation)
                self._counted[key] = self._counted.get(key, 0) + count

    def _refusal(self, pending: Pending, uses: Mapping[str, int]) -> Refused | None:
        entry = pending.entry
        if reason := self.suspended.get(entry.agent_id):
            return Refused(suspended_because(entry.agent_id, reason))
        if not pending.limits:
            return None
        for window, limit in zip(windows(pending), pending.limits, strict=True):
            used = self.used[window] + self._counted.get(window[:3], 0)
            if used + uses.get(limit.operation, 0) > limit.count:
                return Refused(f"The limit of {limit.text} for {limit.operation} is used up.", limit)
        return None


_NOTHING: Mapping[str, int] = {}


def _uses(pending: Pending) -> Mapping[str, int]:
    """Return the uses that an entry counts as, by operation."""
    uses: dict[str, int] = {}
    for operation, count in pending.usage:
        uses[operation] = uses.get(operation, 0) + count
    return uses


def windows(pending: Pending) -> Sequence[Window]:
    """Return the windows of an entry's limits, in their order."""
    entry = pending.entry
    return [Window(entry.org_id, entry.agent_id, limit.operation, limit.seconds) for limit in pending.limits]


def suspended_because(agent_id: str, reason: str) -> str:
    """Return the reason why an agent's call is refused, as a sentence."""
    return f"Agent {agent_id!a} is suspended: {reason}."


def dropped(taken: int, held: int) -> AuditError:
    """Return the error for a database that does not hold all records as they were inserted."""
    return AuditError(
        f"The audit log took {taken} records and holds {held} of them as they were written: something in the database "
        "drops or changes records. Nothing was sent. Run `arx-pagerduty audit verify`."
    )


def close_intent(intent: AuditRecord | Entry, action_type: ActionType, status: Status, error: str) -> Entry:
    """Return an outcome for an intent whose own writer did not record one."""
    return Entry(
        action_type=action_type,
        status=status,
        error=error,
        intent_id=intent.id,
        **{
            name: getattr(intent, name)
            for name in ("org_id", "agent_id", "connector", "operation", "method", "path", "risk")
        },
        policy_verdict=intent.policy_verdict,
        policy=intent.policy,
        inputs_hash=intent.inputs_hash,
    )
