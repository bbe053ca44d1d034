"""One record: what the pipeline hands in, and what is stored, hashed and chained."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

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
    "log.sealed",
    "log.removed",
]
Status = Literal["in_progress", "success", "error", "unknown", "blocked", "escalated"]

GENESIS = "0" * 64
_BLOCK = 64


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be recorded; the log adds place, time and hashes.

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
        seq: Its place, from 1 without gaps: the order of the log.
        created_at: When it was written, ISO 8601 in UTC. Clocks jump; the order is `seq`'s.
        org_id, agent_id: Who asked, for which organisation.
        action_type: What kind of record it is.
        connector, operation, method, path, risk: What was asked.
        policy_verdict, policy, reason: What policy said.
        approval_id: The approval asked for or used.
        status: How it stands.
        inputs_hash, outputs_hash: HMAC-SHA256 of the canonical parameters and of the answers, with the log's key.
        duration_ms: From asking to outcome, by a clock that does not jump.
        error: The error's class, with status and code; never its message.
        metadata: `intent` (the intent that this record answers), `effects`, `ids`, `attempts`, ...
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
    def parse(cls, body: bytes, record_hash: str) -> AuditRecord:
        return msgspec.structs.replace(_DECODER.decode(body), hash=record_hash)

    def holds(self, digest: Callable[[bytes], str]) -> bool:
        """Return whether the record was written with the log's key: `digest` is that key's HMAC."""
        members = {name: getattr(self, name) for name in self.__struct_fields__ if name != "hash"}
        return digest(_ENCODER.encode(members)) == self.hash


class Link(msgspec.Struct, frozen=True):
    """What a record says of itself and of its place in the chain."""

    id: str
    seq: int
    prev_hash: str


link_of = msgspec.json.Decoder(Link).decode
_DECODER = msgspec.json.Decoder(AuditRecord)
_ENCODER = msgspec.json.Encoder(order="sorted")


def body_of(entry: Entry, *, seq: int, created_at: str, prev_hash: str) -> bytes:
    """The record's canonical JSON, without its own hash: what is stored and hashed."""
    metadata = dict(entry.metadata)
    if entry.intent_id:
        metadata["intent"] = entry.intent_id
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
    """HMAC-SHA256 as hex (RFC 2104): without the key, not even a short value can be guessed back.

    Said with `hashlib` rather than `hmac`, which takes twice as long for a record: a million have to be verified.
    """
    block = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def digest(data: bytes) -> str:
        within, around = inner.copy(), outer.copy()
        within.update(data)
        around.update(within.digest())
        return around.hexdigest()

    return digest
