"""Define the audit record: its members, the canonical JSON that is hashed (`body_of`) and the hash (`hasher`).

`chain.py` gives each record its sequence number and the hash of the record before it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from arx_wrapper.errors import AuditError
from arx_wrapper.model import new_id

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


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry to be recorded; the log adds sequence number, time and hashes.

    Attributes:
        intent_id: The intent that an outcome or a refusal answers.
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
        created_at: The time of writing, ISO 8601 in UTC. Clocks jump; the order is `seq`'s.
        org_id, agent_id: The caller, and its organisation.
        action_type: The kind of record.
        connector, operation, method, path, risk: The call.
        policy_verdict, policy, reason: The verdict, the entry that gave it, and why.
        approval_id: The approval asked for or used.
        status: The call's state.
        inputs_hash, outputs_hash: HMAC-SHA256 of the canonical parameters and of the answers, with the log's key.
        duration_ms: From asking to outcome, by a clock that does not jump.
        error: The error's class, with status and code; never its message.
        metadata: `intent` (the intent that this record answers), `effects`, `ids`, `attempts`, `counted` (the uses that
            limits count), `writer` (the connection that wrote an intent), ...
        prev_hash: The hash of the record before this one.
        hash: HMAC-SHA256 of everything above, with the log's key.
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
            raise AuditError(
                f"A record of the audit log is damaged: {error}. Run `arx-pagerduty audit verify`."
            ) from None
        msgspec.structs.force_setattr(record, "hash", record_hash)  # half the time of making a second record
        return record

    def holds(self, digest: Callable[[bytes], str]) -> bool:
        """Return whether the record was written with the log's key: `digest` is that key's HMAC."""
        members = {name: getattr(self, name) for name in self.__struct_fields__ if name != "hash"}
        return digest(_ENCODER.encode(members)) == self.hash


class Details(msgspec.Struct, frozen=True):
    """The members of a record's metadata that the log itself reads; they may hold anything."""

    intent: Any = None
    writer: Any = None
    counted: Any = None
    ids: Any = None
    reviewer: Any = None
    suspended: Any = None
    digest: Any = None
    text: Any = None


class Outline(msgspec.Struct, frozen=True):
    """The members of a stored record that links, filters, limits and suspensions go by."""

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
    """Return the outline of a record that is being written."""
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


outline_of = msgspec.json.Decoder(Outline).decode
_DECODER = msgspec.json.Decoder(AuditRecord)
_ENCODER = msgspec.json.Encoder(order="sorted")


def body_of(entry: Entry, *, seq: int, created_at: str, prev_hash: str, **more: object) -> bytes:
    """Return the record's canonical JSON without its own hash: the text that is stored and hashed.

    Args:
        more: Members that the log adds to the metadata; None adds nothing.
    """
    metadata = dict(entry.metadata)
    if entry.intent_id:
        metadata["intent"] = entry.intent_id
    for name, value in more.items():
        if value:
            metadata[name] = value
    return _ENCODER.encode(
        {
            "id": entry.id,
            "seq": seq,
            "created_at": created_at,
            "org_id": entry.org_id,
            "agent_id": entry.agent_id,
            "action_type": entry.action_type,
            "connector": entry.connector,
            "operation": entry.operation,
            "method": entry.method,
            "path": entry.path,
            "risk": entry.risk,
            "policy_verdict": entry.policy_verdict,
            "policy": entry.policy,
            "reason": entry.reason,
            "approval_id": entry.approval_id,
            "status": entry.status,
            "inputs_hash": entry.inputs_hash,
            "outputs_hash": entry.outputs_hash,
            "duration_ms": entry.duration_ms,
            "error": entry.error,
            "metadata": metadata,
            "prev_hash": prev_hash,
        }
    )


def hasher(key: bytes) -> Callable[[bytes], str]:
    """Return HMAC-SHA256 with a key, as hex: without the key, not even a short value can be guessed back."""

    keyed = hmac.new(key, digestmod="sha256")  # copied, so that the key is set up once

    def digest(data: bytes) -> str:
        one = keyed.copy()
        one.update(data)
        return one.hexdigest()

    return digest
