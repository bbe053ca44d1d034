"""Run the approval store's database work on one long-lived thread, within a time-out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from arx_wrapper.approvals.store import Store
from arx_wrapper.errors import ApprovalError

_T = TypeVar("_T")
# Seconds that closing waits for work that still runs.
_CLOSES_WITHIN: Final = 5.0


class StoreThread:
    """A store, and the only thread that uses it.

    Args:
        store: The store.
        timeout: Seconds that one piece of work may take.
    """

    def __init__(self, store: Store, *, timeout: float) -> None:
        self._store, self._timeout, self._closed = store, timeout, False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="arx-approvals")

    async def run(self, work: Callable[[Store], _T]) -> _T:
        """Run work with the store on the thread, and return its result.

        After a time-out the work may still take effect: an approval is used although no call was made, or a decision is
        stored although its reviewer saw an error. Neither permits a call that no reviewer approved.

        Raises:
            ApprovalError: it takes longer than the time-out, or the store was closed.
        """
        if self._closed:
            raise ApprovalError("The approval store is closed. Nothing was sent.")
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._store)
        except TimeoutError:
            raise ApprovalError(
                f"The approval store did not answer within {self._timeout:g} s. Nothing was sent. The decision may be "
                "stored: run `arx-pagerduty approvals show` before deciding again."
            ) from None

    def refuse(self) -> bool:
        """Refuse further work; return False when it was refused already."""
        was_open, self._closed = not self._closed, True
        return was_open

    async def aclose(self) -> None:
        """Close the store after the work that is submitted already."""
        self._closed = True
        closed = self._thread.submit(self._store.close)
        self._thread.shutdown(wait=False)
        with suppress(TimeoutError):  # the thread may be waiting for a server that does not respond
            await asyncio.wait_for(asyncio.wrap_future(closed), _CLOSES_WITHIN)
