"""Sign checkpoints: the log's size and root, stored where the log's operators cannot change them.

A checkpoint is C2SP's `tlog-checkpoint`: origin, number of records and root of the tree over them, in a signed note.
Comparing a log with an earlier checkpoint finds a rewrite, a fork, a truncation and an older copy, even if they were
made with the log's key.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from attrs import frozen

from arx_wrapper.audit.log import AuditLog
from arx_wrapper.audit.store import Reader
from arx_wrapper.audit.transparency.checkpoint_stores import CheckpointStore
from arx_wrapper.audit.transparency.signed_note import Signer, Verifier
from arx_wrapper.audit.transparency.witness import Witness
from arx_wrapper.audit.verification import compared
from arx_wrapper.errors import AuditError


@frozen
class Checkpoint:
    """A tree's size and root.

    Attributes:
        origin: The log's name, which is the signing key's name.
        size: The number of records.
        root: The root of the tree over them.
    """

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Parse the text of a checkpoint's note. AuditError when it is not a checkpoint."""
        origin, size, root, *_ = [*text.split("\n"), "", "", ""]
        try:
            found = cls(origin, int(size), base64.b64decode(root, validate=True))
        except (ValueError, binascii.Error):
            found = None
        if found is None or str(found.size) != size or found.size < 0 or len(found.root) != 32 or not origin:
            raise AuditError("This is not a checkpoint.")
        return found

    def text(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def opened(note: str, verifier: Verifier) -> Checkpoint:
    """Verify a note's signature and return its checkpoint.

    Raises:
        AuditError: it is not signed by this key, or is another log's.
    """
    found = Checkpoint.parse(verifier.open(note))
    if found.origin != verifier.name:
        raise AuditError(f"The checkpoint is of {found.origin!a}, not of {verifier.name!a}.")
    return found


async def sign_checkpoint(
    log: AuditLog, signer: Signer, stores: Sequence[CheckpointStore], witnesses: Sequence[Witness] = ()
) -> str:
    """Verify the log, sign its size and root, have witnesses cosign it, and write the checkpoint to every store.

    Records that the last checkpoint of every store covers are only compared with the tree; all others are verified one
    by one.

    Returns:
        The signed note.

    Raises:
        AuditError: the log does not verify, does not extend the last checkpoint of a store or witness, or one of these
            cannot be reached. Then no checkpoint is written.
    """
    verifier = Verifier.parse(signer.verifier())
    kept = [await store.last() for store in stores]
    last = [opened(note, verifier) for note in kept if note is not None]
    if problem := await log.read(lambda reader: compared(reader, [(one.size, one.root) for one in last])):
        raise AuditError(f"The log is not signed: {problem}.")
    since = min((one.size for one in last), default=0) if len(last) == len(stores) else 0
    verified = await log.verify(since=since)
    if not verified.ok:
        raise AuditError(f"The log does not verify, so it is not signed: {verified.problem}.")
    size = since + verified.records if since else None
    checkpoint = await log.read(lambda reader: checkpoint_of(reader, signer.name, size))
    note = signer.sign(checkpoint.text())
    for witness in witnesses:
        note = await _cosigned(log, note, checkpoint.size, witness, [one for one in kept if one is not None])
    for store in stores:
        await store.keep(checkpoint.size, note)
    return note


async def _cosigned(log: AuditLog, note: str, size: int, witness: Witness, kept: Sequence[str]) -> str:
    """Return a note with a witness's signature; the request starts from the last checkpoint that it cosigned."""
    notes = [one for one in kept if witness.cosigner.cosigned_at(one) is not None]
    known = [Checkpoint.parse(one.partition("\n\n")[0] + "\n").size for one in notes]

    async def prove(old: int) -> Sequence[bytes]:
        return await log.read(lambda reader: reader.tree().consistency(old, size))

    return await witness.cosign(note, size, max(known, default=0), prove)


def checkpoint_of(log: Reader, origin: str, size: int | None = None) -> Checkpoint:
    """Return the checkpoint over the first `size` records of a log; by default over all."""
    tree = log.tree()
    size = tree.size if size is None else size
    return Checkpoint(origin, size, tree.root(size))


async def verify_against(log: AuditLog, checkpoint: Checkpoint) -> str | None:
    """Describe how a log differs from a checkpoint; None when the log extends it."""
    return await log.read(lambda reader: compared(reader, [(checkpoint.size, checkpoint.root)]))
