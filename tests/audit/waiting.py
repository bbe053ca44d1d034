"""Logs that give up soon, in tests that no machine is too slow for."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from arx_wrapper import AuditError
from arx_wrapper.audit import AuditLog
from arx_wrapper.audit.storage.postgres import PostgresStore
from arx_wrapper.audit.storage.sqlite import SqliteStore
from arx_wrapper.audit.storage.sqlite_files import wait_for_locks
from tests.support import PATIENCE

T = TypeVar("T")


def hurry(log: AuditLog) -> None:
    """Have an open log wait only a moment for a lock that another holds; the rest may take the time that it takes."""
    store = log._writer.store()
    if isinstance(store, SqliteStore):
        wait_for_locks(store._db, 0.2)
    else:
        assert isinstance(store, PostgresStore)
        store._connected(time.monotonic() + PATIENCE).execute("SET lock_timeout = '200ms'")


async def at_last(act: Callable[[], Awaitable[T]]) -> T:
    """Do what needs a log that has little time, as soon as the machine gives the log so much."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return await act()
        except AuditError:
            assert time.monotonic() < until, "the log does not recover"
