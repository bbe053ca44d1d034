"""Send live updates as Server-Sent Events: one read of the approval store a second for all browsers together."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from arx_wrapper.errors import ApprovalError

if TYPE_CHECKING:
    from arx_wrapper.approvals import Approvals

_EVERY: Final = 1.0
_PING: Final = 15.0


class Watcher:
    """Watches an organisation's requests while a browser listens, and notifies every browser of changes.

    Args:
        approvals: The store of the requests.
        org_id: The organisation.
        every: Seconds between two reads.
    """

    def __init__(self, approvals: Approvals, org_id: str, *, every: float = _EVERY) -> None:
        self._approvals, self._org_id, self._every = approvals, org_id, every
        self._changed = asyncio.Condition()
        self._version = ""
        self._listening = 0
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def events(self) -> AsyncIterator[bytes]:
        """Yield Server-Sent Events until the browser disconnects: `change` after a change, else a comment."""
        self._listening += 1
        if self._task is None or self._task.done():
            self._version = await self._look() or self._version
            self._task = asyncio.create_task(self._watch())
        seen = self._version
        try:
            yield b": hello\n\n"
            while not self._closed:
                async with self._changed:
                    try:
                        async with asyncio.timeout(_PING):
                            while self._version == seen and not self._closed:
                                await self._changed.wait()
                    except TimeoutError:
                        yield b": still here\n\n"
                        continue
                if not self._closed:
                    seen = self._version
                    yield f"event: change\ndata: {seen}\n\n".encode()
        finally:
            self._listening -= 1

    async def close(self) -> None:
        """End all listeners."""
        self._closed = True
        async with self._changed:
            self._changed.notify_all()
        if self._task:
            self._task.cancel()

    async def _watch(self) -> None:
        while self._listening:
            await asyncio.sleep(self._every)
            found = await self._look()
            if found is not None and found != self._version:
                self._version = found
                async with self._changed:
                    self._changed.notify_all()

    async def _look(self) -> str | None:
        """Return a digest of the requests' states; None when the store cannot be read now."""
        try:
            states = await self._approvals.states(self._org_id)
        except ApprovalError:
            return None
        return hashlib.sha256(repr(states).encode()).hexdigest()[:16]
