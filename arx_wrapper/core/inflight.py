"""How many calls are under way, so that closing can wait for them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import Event


class InFlightCalls:
    """Counts the calls under way."""

    def __init__(self) -> None:
        self._count = 0
        self._none: Event | None = None

    def __enter__(self) -> None:
        self._count += 1

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        if self._none and not self._count:
            self._none.set()

    async def wait_idle(self, seconds: float) -> None:
        """Wait until there are none, so long at most."""
        if self._count:
            import asyncio

            self._none = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none.wait(), seconds)
