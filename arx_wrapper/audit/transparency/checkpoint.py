"""Checkpoints: what the log was at a time, signed, and kept where whoever holds the log cannot reach.

A checkpoint is C2SP's `tlog-checkpoint`: origin, number of records and root of the tree over them, in a signed note.
Against the last one a full rewrite shows, a fork, a tail that was cut off and an older copy that was put back, even
when they were made with the log's key.
"""

from __future__ import annotations

import base64
import binascii

from attrs import frozen

from arx_wrapper.audit.log import AuditLog
from arx_wrapper.audit.merkle import Tree
from arx_wrapper.audit.store import Reader
from arx_wrapper.audit.transparency.checkpoint_stores import CheckpointStore
from arx_wrapper.audit.transparency.signed_note import Signer, Verifier
from arx_wrapper.errors import AuditError


@frozen
class Checkpoint:
    """A tree's size and root, as somebody's log had them.

    Attributes:
        origin: Whose log; the name of the key that signs.
        size: How many records.
        root: The root of the tree over them.
    """

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """The text of a checkpoint's note. AuditError when it is none."""
        origin, size, root, *_ = [*text.split("\n"), "", "", ""]
        try:
            found = cls(origin, int(size), base64.b64decode(root, validate=True))
        except (ValueError, binascii.Error):
            found = None
        if found is None or str(found.size) != size or found.size < 0 or len(found.root) != 32 or not origin:
            raise AuditError("This is not a checkpoint.")
        return found

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def opened(note: str, verifier: Verifier) -> Checkpoint:
    """A checkpoint, once its signature holds.

    Raises:
        AuditError: it is not signed by this key, or is another log's.
    """
    found = Checkpoint.parse(verifier.open(note))
    if found.origin != verifier.name:
        raise AuditError(f"The checkpoint is of {found.origin!a}, not of {verifier.name!a}.")
    return found


async def take(log: AuditLog, signer: Signer, places: list[CheckpointStore]) -> str:
    """Sign what the log is now, and leave it at every place.

    Returns:
        The note.

    Raises:
        AuditError: the log does not follow from the last checkpoint of a place, or a place cannot be written.
    """
    verifier = Verifier.parse(signer.verifier())
    last = [opened(note, verifier) for place in places if (note := await place.last()) is not None]
    verified = await log.verify()
    if not verified.ok:
        raise AuditError(f"The log does not verify, so it is not signed: {verified.problem}.")
    tree, problem = await log.read(lambda reader: follow(reader, last))
    if problem:
        raise AuditError(f"The log is not signed: {problem}.")
    note = signer.sign(Checkpoint(signer.name, tree.size, tree.root()).text())
    for place in places:
        await place.keep(tree.size, note)
    return note


async def against(log: AuditLog, checkpoint: Checkpoint) -> str | None:
    """What is wrong with a log when it is held against a checkpoint; None when it goes on from it."""
    _, problem = await log.read(lambda reader: follow(reader, [checkpoint]))
    return problem


def follow(log: Reader, checkpoints: list[Checkpoint]) -> tuple[Tree, str | None]:
    """Grow the tree over all records, and compare it with each checkpoint on the way."""
    wanted: dict[int, bytes] = {}
    for checkpoint in checkpoints:
        if wanted.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
            return Tree(), f"two checkpoints over {checkpoint.size} records contradict each other: the log was forked"
    tree = log.before()
    for size, root in sorted(wanted.items()):
        if 0 < size < tree.size:  # whoever has the log could have made up what it says of what is gone
            return tree, (
                f"records up to {tree.size} were removed, so it cannot be held against a checkpoint over {size}: take "
                "one before what is sealed is removed. To begin anew, use another place"
            )
        if size == tree.size and root != tree.root():
            return tree, f"its first {size} records are not those of the checkpoint"
    for _, _, body, _ in log.rows():
        tree.add(body)
        root = wanted.get(tree.size, b"")
        if root and root != tree.root():
            return tree, f"its first {tree.size} records are not those of the checkpoint: it was rewritten, or forked"
    largest = max(wanted, default=0)
    if largest > tree.size:
        return (
            tree,
            f"it has {tree.size} records, the checkpoint {largest}: its end was cut off, or it is an old copy",
        )
    return tree, None
