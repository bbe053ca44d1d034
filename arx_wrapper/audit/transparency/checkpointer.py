"""Checkpoints that a process takes by itself, by time and by the number of records."""

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
from arx_wrapper.errors import ArxError, ConfigError

_LOOK_EVERY = 10.0
_PATIENCE = 15.0
_log = logging.getLogger("arx_wrapper.audit")


@frozen(kw_only=True)
class Plan:
    """The checkpoints of a log.

    Attributes:
        signing_key: The file of the signer's key.
        stores: Where they are kept.
        witnesses: Who has to cosign them.
        every: Seconds after which one is due, when there are new records.
        records: The number of new records after which one is due.
    """

    signing_key: Path
    stores: Sequence[CheckpointStore]
    witnesses: Sequence[Witness] = ()
    every: float = 3_600.0
    records: int = 10_000

    def signer(self) -> Signer:
        """Read the signer's key. ConfigError when it cannot be read, AuditError when it is none."""
        try:
            return Signer.parse(self.signing_key.read_text("utf-8").strip())
        except OSError as error:
            raise ConfigError(f"{self.signing_key}: {error.strerror}. No checkpoint is taken.") from None


@frozen(kw_only=True)
class Age:
    """The last checkpoint of a log, in the store that has the oldest one.

    Attributes:
        size: The number of records that it is over; 0 when there is none.
        taken_at: When it was kept; None when the store does not say.
        behind: The number of records since.
    """

    size: int
    taken_at: datetime | None
    behind: int


async def age_of(log: AuditLog, stores: Sequence[CheckpointStore]) -> Age:
    """Look the last checkpoint up. It is not verified: for that there is `audit verify`.

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
    return Age(size=oldest[0], taken_at=oldest[1], behind=max(0, size - oldest[0]))


class Checkpointer:
    """Takes checkpoints of a log in a thread of its own, until it is stopped.

    A checkpoint that fails stops no call: it is logged, and tried again. Processes that share a log look first whether
    another has taken one.

    Attributes:
        problem: Why the last one failed; None when it did not.
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
        """Take one more if it is due, and end. Waits a while, not longer."""
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
        since = max(filter(None, (age.taken_at, self._taken)), default=None)
        late = since is None or now - since >= timedelta(seconds=plan.every)
        if age.behind and (late or age.behind >= plan.records):
            await sign_checkpoint(self._audit, plan.signer(), plan.stores, plan.witnesses)
            self._taken = now
