"""Count the calls in flight, so that closing can wait for them, and refuse calls where a connector cannot be used."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from arx_wrapper.errors import ConfigError

if TYPE_CHECKING:
    from asyncio import Event


class InFlightCalls:
    """Counts a connector's calls in flight: enter it around each.

    Raises:
        ConfigError: the connector was closed, or was used before this process was forked from the one that used it.
    """

    def __init__(self) -> None:
        self._count = 0
        self._none: Event | None = None
        self._closed = False
        self._process: int | None = None

    def __enter__(self) -> None:
        if self._closed:
            raise ConfigError("This connector was closed. Nothing was sent. Make another one.")
        if self.inherited:
            raise ConfigError(
                "This connector was used before this process was forked, and cannot be used here: the audit log's "
                "thread, its database and the connections stayed with the parent. Nothing was sent. Make a connector "
                "in each process after the fork (gunicorn: post_fork; Celery: worker_process_init)."
            )
        self._process = os.getpid()
        self._count += 1

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        if self._none and not self._count:
            self._none.set()

    @property
    def inherited(self) -> bool:
        """Return True in a process that was forked after the connector's first call."""
        return self._process is not None and self._process != os.getpid()

    def close(self) -> None:
        """Refuse further calls."""
        self._closed = True

    async def wait_idle(self, seconds: float) -> None:
        """Wait until no call is in flight, so long at most."""
        if self._count:
            import asyncio

            self._none = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none.wait(), seconds)
