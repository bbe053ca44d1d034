"""Sign checkpoints automatically, by time and by the number of new records."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import frozen

from arx_wrapper.audit.log import AuditLog
from arx_wrapper.audit.transparency.checkpoint import Checkpoint, sign_checkpoint
from arx_wrapper.audit.transparency.checkpoint_stores import CheckpointStore
from arx_wrapper.audit.transparency.signed_note import Signer
from arx_wrapper.audit.transparency.witness import Witness
from arx_wrapper.errors import ArxError, AuditError, ConfigError
from arx_wrapper.files import read_text

_LOOK_EVERY = 10.0
_PATIENCE = 15.0
_log = logging.getLogger("arx_wrapper.audit")


@frozen(kw_only=True)
class Plan:
    """Settings for a log's automatic checkpoints.

    Attributes:
        signing_key: The file that holds the signing key.
        stores: The stores that checkpoints are written to.
        witnesses: The witnesses that have to cosign.
        every: Seconds after which one is due, when there are new records.
        records: The number of new records after which one is due.
    """

    signing_key: Path
    stores: Sequence[CheckpointStore]
    witnesses: Sequence[Witness] = ()
    every: float = 3_600.0
    records: int = 10_000

    def signer(self) -> Signer:
        """Read the signing key. ConfigError when the file cannot be read, AuditError when it holds no key."""
        try:
            return Signer.parse(read_text(self.signing_key).strip())
        except OSError as error:
            raise ConfigError(f"{self.signing_key}: {error.strerror}. No checkpoint is taken.") from None


@frozen(kw_only=True)
class Age:
    """A log's last checkpoint, in the store whose last one is the oldest.

    Attributes:
        size: The number of records that it covers; 0 when there is none.
        taken_at: The time at which it was stored, aware; None when it is unknown.
        behind: The number of records after it.
        missing: The number of records that the largest checkpoint of all stores covers and the log lacks.
    """

    size: int
    taken_at: datetime | None
    behind: int
    missing: int


async def age_of(log: AuditLog, stores: Sequence[CheckpointStore]) -> Age:
    """Find the last checkpoint, without verifying it; `audit verify` does that.

    Raises:
        AuditError: a store or the log cannot be read.
    """
    size = await log.read(lambda reader: reader.size())
    found: list[tuple[int, datetime | None]] = []
    for store in stores:
        note = await store.last()
        text = "" if note is None else note.partition("\n\n")[0] + "\n"
        found.append((Checkpoint.parse(text).size, await store.last_at()) if text else (0, None))
    oldest = min(found, key=lambda one: one[0], default=(0, None))
    largest = max((one[0] for one in found), default=0)
    return Age(size=oldest[0], taken_at=oldest[1], behind=max(0, size - oldest[0]), missing=max(0, largest - size))


class Checkpointer:
    """Signs checkpoints of a log in a thread of its own, until it is stopped.

    A checkpoint that fails is logged and tried again; calls are not affected. Processes that share a log first check
    whether another process has signed one.

    Attributes:
        problem: The reason why the last one failed; None when it did not.
    """

    def __init__(self, log: AuditLog, plan: Plan) -> None:
        self._audit, self._plan, self._end = log, plan, threading.Event()
        self._thread: threading.Thread | None = None
        self._taken: datetime | None = None
        self.problem: str | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._work, name="arx-checkpoints", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Sign one more checkpoint if it is due, and end the thread; waits a limited time."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def _work(self) -> None:
        while not self._end.wait(min(_LOOK_EVERY, self._plan.every)):
            self._look()
        self._look()

    def _look(self) -> None:
        try:
            asyncio.run(self._take())
        except (ArxError, OSError) as error:
            if self.problem != str(error):
                _log.warning("No checkpoint was taken: %s", error)
            self.problem = str(error)
        else:
            self.problem = None

    async def _take(self) -> None:
        plan, now = self._plan, datetime.now(UTC)
        age = await age_of(self._audit, plan.stores)
        if age.missing:
            raise AuditError(
                f"The last checkpoint covers {age.missing} records that the audit log lacks: the log was removed, cut "
                "off or replaced. Restore it from a backup, and find out who did this"
            )
        since = max(filter(None, (age.taken_at, self._taken)), default=None)
        late = since is None or now - since >= timedelta(seconds=plan.every)
        if age.behind and (late or age.behind >= plan.records):
            await sign_checkpoint(self._audit, plan.signer(), plan.stores, plan.witnesses)
            self._taken = now
