"""Define the audit record: its members, the canonical JSON that is hashed (`body_of`) and the hash (`hasher`).

`chain.py` gives each record its sequence number and the hash of the record before it.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec

from arx_wrapper.errors import AuditError

ActionType = Literal[
    "connector.called",
    "connector.completed",
    "connector.refused",
    "approval.requested",
    "approval.reviewed",
    "policy.loaded",
    "agent.suspended",
    "agent.resumed",
    "reviewer.enrolled",
    "reviewer.removed",
    "log.sealed",
    "log.removed",
]
Status = Literal["in_progress", "success", "error", "unknown", "blocked", "escalated"]

GENESIS = "0" * 64


def new_id() -> str:
    """Return a UUID of version 7. It sorts by time, so that an index grows at its end, and cannot be predicted."""
    now, drawn = time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10)) >> 6
    return f"{now << 80 | 0x7 << 76 | drawn >> 62 << 64 | 0x2 << 62 | drawn & 0x3FFFFFFFFFFFFFFF:032x}"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry to be recorded; the log adds sequence number, time and hashes.

    Attributes:
        intent_id: The intent that an outcome or a refusal belongs to.
    """

    action_type: ActionType
    org_id: str
    agent_id: str
    connector: str
    status: Status
    operation: str | None = None
    method: str | None = None
    path: str | None = None
    risk: str | None = None
    policy_verdict: str | None = None
    policy: str | None = None
    reason: str | None = None
    approval_id: str | None = None
    inputs_hash: str | None = None
    outputs_hash: str | None = None
    duration_ms: float | None = None
    error: str | None = None
    metadata: Mapping[str, Any] = {}
    intent_id: str | None = None
    id: str = msgspec.field(default_factory=new_id)


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One record as it is stored.

    Attributes:
        id: Unique.
        seq: Its sequence number, from 1 without gaps: the order of the log.
        created_at: The time of writing, ISO 8601 in UTC. Clocks jump, so `seq` alone gives the order.
        org_id, agent_id: The organisation, and the agent that calls.
        action_type: The kind of record.
        connector, operation, method, path, risk: The call.
        policy_verdict, policy, reason: The verdict, the entry that gave it, and the reason.
        approval_id: The approval requested or used.
        status: The call's state.
        inputs_hash, outputs_hash: HMAC-SHA256 of the canonical parameters and of the responses, with the log's key.
        duration_ms: Milliseconds from the call to its outcome, by a monotonic clock.
        error: The error's class, with status and code; never its message.
        metadata: `intent` (the intent that this record belongs to), `effects`, `ids`, `attempts`, `counted` (the uses
            that limits count), `writer` (the connection that wrote an intent), ...
        prev_hash: The hash of the record before this one.
        hash: HMAC-SHA256 of all members above, with the log's key.
    """

    id: str
    seq: int
    created_at: str
    org_id: str
    agent_id: str
    action_type: str
    connector: str
    operation: str | None
    method: str | None
    path: str | None
    risk: str | None
    policy_verdict: str | None
    policy: str | None
    reason: str | None
    approval_id: str | None
    status: str
    inputs_hash: str | None
    outputs_hash: str | None
    duration_ms: float | None
    error: str | None
    metadata: dict[str, Any]
    prev_hash: str
    hash: str = ""

    @classmethod
    def parse(cls, body: bytes | str, record_hash: str) -> AuditRecord:
        """Parse a stored record.

        Raises:
            AuditError: it was damaged.
        """
        try:
            record = _DECODER.decode(body)
        except msgspec.MsgspecError as error:
            raise _damaged(error) from None
        msgspec.structs.force_setattr(record, "hash", record_hash)  # takes half as long as a second record
        return record

    def holds(self, digest: Callable[[bytes], str]) -> bool:
        """Return True when the record was written with the log's key; `digest` computes that key's HMAC."""
        members = {name: getattr(self, name) for name in self.__struct_fields__ if name != "hash"}
        return digest(_ENCODER.encode(members)) == self.hash


class Details(msgspec.Struct, frozen=True):
    """The members of a record's metadata that the log itself reads; their values are unchecked."""

    intent: Any = None
    writer: Any = None
    counted: Any = None
    ids: Any = None
    reviewer: Any = None
    suspended: Any = None
    digest: Any = None
    text: Any = None
    last: Any = None


class Outline(msgspec.Struct, frozen=True):
    """The members of a stored record that links, filters, limits and suspensions use."""

    id: str
    seq: int
    created_at: str
    org_id: str
    agent_id: str
    action_type: str
    operation: str | None
    policy_verdict: str | None
    reason: str | None
    approval_id: str | None
    status: str
    prev_hash: str
    metadata: Details


def outline_from(entry: Entry, details: Details, seq: int, created_at: str, prev_hash: str) -> Outline:
    """Return the outline of a new record."""
    return Outline(
        entry.id,
        seq,
        created_at,
        entry.org_id,
        entry.agent_id,
        entry.action_type,
        entry.operation,
        entry.policy_verdict,
        entry.reason,
        entry.approval_id,
        entry.status,
        prev_hash,
        details,
    )


class RecordedCallDetails(msgspec.Struct, frozen=True, gc=False):
    """The members of a call's metadata by which policy judges it, not parsed yet."""

    intent: str | None = None
    effects: msgspec.Raw = msgspec.Raw()
    params: msgspec.Raw = msgspec.Raw()


class RecordedCall(msgspec.Struct, frozen=True, gc=False):
    """The members of a stored record that describe the call and the verdict of policy.

    Many records are read for few distinct calls, so nested members stay text: they are parsed once for each distinct
    one.
    """

    id: str
    created_at: str
    org_id: str
    agent_id: str
    action_type: str
    operation: str | None
    policy_verdict: str | None
    reason: str | None
    metadata: RecordedCallDetails

    @classmethod
    def parse(cls, body: bytes) -> RecordedCall | None:
        """Parse a stored record; None when it is not the record of a call.

        Raises:
            AuditError: it was damaged.
        """
        # Half of all records. A body begins with the action: its members are in the order of their names.
        if body.startswith(_COMPLETED):
            return None
        try:
            record = _RECORDED_CALL.decode(body)
        except msgspec.MsgspecError as error:
            raise _damaged(error) from None
        if record.action_type == "connector.called":
            return record
        # A refusal after the intent: the intent is a record of its own.
        return record if record.action_type == "connector.refused" and record.metadata.intent is None else None


def _damaged(error: msgspec.MsgspecError) -> AuditError:
    return AuditError(f"A record of the audit log is damaged: {error}. Run `arx-pagerduty audit verify`.")


outline_of = msgspec.json.Decoder(Outline).decode
_RECORDED_CALL = msgspec.json.Decoder(RecordedCall)
_COMPLETED = b'{"action_type":"connector.completed"'
_DECODER = msgspec.json.Decoder(AuditRecord)
_ENCODER = msgspec.json.Encoder(order="sorted")


class _Body(msgspec.Struct, frozen=True):
    """A record without its own hash; its members are declared in sorted order, so that encoding need not sort them."""

    action_type: str
    agent_id: str
    approval_id: str | None
    connector: str
    created_at: str
    duration_ms: float | None
    error: str | None
    id: str
    inputs_hash: str | None
    metadata: Mapping[str, Any]
    method: str | None
    operation: str | None
    org_id: str
    outputs_hash: str | None
    path: str | None
    policy: str | None
    policy_verdict: str | None
    prev_hash: str
    reason: str | None
    risk: str | None
    seq: int
    status: str


_encoded: Final = msgspec.json.Encoder(order="deterministic").encode


def body_of(
    entry: Entry,
    *,
    seq: int,
    created_at: str,
    prev_hash: str,
    counted: Mapping[str, int] | None = None,
    writer: str | None = None,
) -> bytes:
    """Return the record's canonical JSON without its own hash: the text that is stored and hashed.

    Args:
        counted: The uses that limits count, which the log adds to the metadata; None or empty adds nothing.
        writer: The connection that writes an intent; None adds nothing.
    """
    metadata = entry.metadata
    if entry.intent_id or counted or writer:
        metadata = dict(metadata)
        if entry.intent_id:
            metadata["intent"] = entry.intent_id
        if counted:
            metadata["counted"] = counted
        if writer:
            metadata["writer"] = writer
    return _encoded(
        _Body(
            entry.action_type,
            entry.agent_id,
            entry.approval_id,
            entry.connector,
            created_at,
            entry.duration_ms,
            entry.error,
            entry.id,
            entry.inputs_hash,
            metadata,
            entry.method,
            entry.operation,
            entry.org_id,
            entry.outputs_hash,
            entry.path,
            entry.policy,
            entry.policy_verdict,
            prev_hash,
            entry.reason,
            entry.risk,
            seq,
            entry.status,
        )
    )


def hasher(key: bytes) -> Callable[[bytes], str]:
    """Return a function that computes HMAC-SHA256 (RFC 2104) with a key, as hex.

    Without the key, not even a short value can be found from its hash.
    """
    keyed = hmac.new(key, digestmod="sha256").copy  # the key is hashed once

    def digest(data: bytes) -> str:
        found = keyed()
        found.update(data)
        return found.hexdigest()

    return digest
