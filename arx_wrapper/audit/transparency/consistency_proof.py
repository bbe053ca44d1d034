"""Prove that a log's later checkpoint extends an earlier one (consistency proof; RFC 6962, section 2.1.2)."""

from __future__ import annotations

import msgspec

from arx_wrapper.audit.log import AuditLog
from arx_wrapper.audit.store import Reader
from arx_wrapper.audit.tiles import consistent
from arx_wrapper.audit.transparency.checkpoint import Checkpoint, opened
from arx_wrapper.audit.transparency.signed_note import Verifier
from arx_wrapper.audit.verification import compared
from arx_wrapper.errors import AuditError


class ConsistencyProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two checkpoints of a log, and the proof that the later one's records begin with the earlier one's.

    Attributes:
        old, new: The signed notes.
        consistency: The hashes of the proof, as hex.
    """

    old: str
    new: str
    consistency: list[str]

    @classmethod
    def parse(cls, text: bytes) -> ConsistencyProof:
        """Parse a proof. AuditError when it is malformed."""
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as error:
            raise AuditError(f"This is not a consistency proof: {error}.") from None

    def text(self) -> str:
        """Return the proof as JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1).decode() + "\n"


async def prove_consistency(log: AuditLog, old: str, new: str, verifier: Verifier) -> ConsistencyProof:
    """Prove that a later checkpoint extends an earlier one; reads a few tiles, whatever the log's size.

    Raises:
        AuditError: one of them is not signed by this key, the later one covers fewer records, or the log does not
            extend both.
    """
    first, last = opened(old, verifier), opened(new, verifier)
    if not 0 < first.size <= last.size:
        raise AuditError(f"A checkpoint over {last.size} records does not come after one over {first.size}.")
    path = await log.read(lambda reader: _path(reader, first, last))
    return ConsistencyProof(old=old, new=new, consistency=[step.hex() for step in path])


def _path(log: Reader, first: Checkpoint, last: Checkpoint) -> list[bytes]:
    if problem := compared(log, [(first.size, first.root), (last.size, last.root)]):
        raise AuditError(f"Nothing can be proved about this log: {problem}.")
    return log.tree().consistency(first.size, last.size)


def verify_consistency(proof: ConsistencyProof, verifier: Verifier) -> tuple[int, int]:
    """Verify a proof offline, with only the verifier's key.

    Returns:
        The number of records at the earlier and at the later checkpoint.

    Raises:
        AuditError: the proof is invalid.
    """
    first, last = opened(proof.old, verifier), opened(proof.new, verifier)
    try:
        path = [bytes.fromhex(step) for step in proof.consistency]
    except ValueError:
        raise AuditError("The proof is damaged.") from None
    if not consistent(first.size, first.root, last.size, last.root, path):
        raise AuditError(
            f"The proof does not lead from the checkpoint over {first.size} records to the one over {last.size}: the "
            "log was forked, or these are two logs."
        )
    return first.size, last.size
