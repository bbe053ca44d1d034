"""Prove that a record is in the log (inclusion proof); verifying needs only the log's public key."""

from __future__ import annotations

import base64
from typing import Final

import msgspec

from arx_wrapper.audit.log import AuditLog
from arx_wrapper.audit.merkle import root_of
from arx_wrapper.audit.record import AuditRecord
from arx_wrapper.audit.store import Query, Reader
from arx_wrapper.audit.transparency.checkpoint import Checkpoint, opened
from arx_wrapper.audit.transparency.signed_note import Verifier
from arx_wrapper.audit.verification import compared
from arx_wrapper.errors import AuditError


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record, its index in a tree, and the checkpoint that was signed over that tree.

    Attributes:
        record: The record's canonical JSON, as it is stored.
        index: Its index, from 0.
        size: The number of records in the tree.
        path: The hashes from the record up to the root (RFC 6962, section 2.1.1), as hex.
        checkpoint: The signed note.
    """

    record: str
    index: int
    size: int
    path: list[str]
    checkpoint: str

    @classmethod
    def parse(cls, text: bytes) -> Proof:
        """Parse a proof: C2SP's `tlog-proof@v1`, or the JSON of earlier versions. AuditError when it is malformed."""
        try:
            return msgspec.json.decode(text, type=cls) if text.lstrip().startswith(b"{") else _parsed(text.decode())
        except (msgspec.MsgspecError, ValueError, UnicodeDecodeError) as error:
            raise AuditError(f"This is not a proof: {error}.") from None

    def text(self) -> str:
        """Return the proof as C2SP's `tlog-proof@v1`, with the record as its extra data."""
        extra = base64.b64encode(self.record.encode()).decode()
        path = "".join(base64.b64encode(bytes.fromhex(step)).decode() + "\n" for step in self.path)
        return f"{_MAGIC}\nextra {extra}\nindex {self.index}\n{path}\n{self.checkpoint}"


_MAGIC: Final = "c2sp.org/tlog-proof@v1"


def _parsed(text: str) -> Proof:
    """Parse `tlog-proof@v1`. ValueError, or AuditError for its checkpoint, when it is malformed."""
    head, separator, checkpoint = text.partition("\n\n")
    magic, extra, index, *path = [*head.split("\n"), "", "", ""] if head.count("\n") < 2 else head.split("\n")
    if magic != _MAGIC or not separator or not extra.startswith("extra ") or not index.startswith("index "):
        raise ValueError("it does not begin with c2sp.org/tlog-proof@v1, the record and its index")
    number = index.removeprefix("index ")
    if not number.isdecimal() or str(int(number)) != number:
        raise ValueError("its index is not a number")
    return Proof(
        record=base64.b64decode(extra.removeprefix("extra "), validate=True).decode(),
        index=int(number),
        size=Checkpoint.parse(checkpoint.partition("\n\n")[0] + "\n").size,
        path=[base64.b64decode(step, validate=True).hex() for step in path],
        checkpoint=checkpoint,
    )


async def prove(log: AuditLog, record: str | int, note: str, verifier: Verifier) -> Proof:
    """Prove that a checkpoint covers a record.

    Args:
        record: The record's id or sequence number.
        note: A checkpoint that was signed after the record was written.
        verifier: The key that signed it.

    Raises:
        AuditError: there is no such record, the checkpoint is older, or the log does not extend it.
    """
    return await log.read(lambda reader: _prove(reader, record, note, verifier))


def _prove(log: Reader, record: str | int, note: str, verifier: Verifier) -> Proof:
    query = Query(after_seq=record - 1, before_seq=record + 1) if isinstance(record, int) else Query(id=record)
    found = next(log.select(query), None)
    if found is None:
        raise AuditError(f"The log holds no record {record!a}.")
    checkpoint, index = opened(note, verifier), found.seq - 1
    if index >= checkpoint.size:
        raise AuditError(f"The record is newer than the checkpoint over {checkpoint.size} records. Sign a new one.")
    if problem := compared(log, [(checkpoint.size, checkpoint.root)]):
        raise AuditError(f"Nothing can be proved about this log: {problem}.")
    _, _, body, _ = next(log.rows(after=index, until=index + 1))
    path = log.tree().inclusion(index, checkpoint.size)
    if root_of(body, index, checkpoint.size, path) != checkpoint.root:
        raise AuditError(f"Record {index + 1} was changed: it is not the one that the checkpoint covers.")
    return Proof(
        record=body.decode(),
        index=index,
        size=checkpoint.size,
        path=[step.hex() for step in path],
        checkpoint=note,
    )


def verify_proof(proof: Proof, verifier: Verifier) -> AuditRecord:
    """Verify a proof offline, without log, database or secret.

    Returns:
        The proved record.

    Raises:
        AuditError: the proof is invalid.
    """
    checkpoint = opened(proof.checkpoint, verifier)
    body = proof.record.encode()
    try:
        path = [bytes.fromhex(step) for step in proof.path]
        record = AuditRecord.parse(body, "")
    except (ValueError, msgspec.MsgspecError):
        raise AuditError("The proof is damaged.") from None
    if proof.size != checkpoint.size or record.seq != proof.index + 1:
        raise AuditError("The proof does not match its own record or checkpoint.")
    if root_of(body, proof.index, proof.size, path) != checkpoint.root:
        raise AuditError("The proof does not lead to the checkpoint: the log does not hold the record in this form.")
    return record
