"""Record each call, its verdict and its outcome in a hash chain; the intent is durable before the call is sent.

    log = audit.open("sqlite:///var/audit.db")
    intent = await log.append(Entry(...))         # returns once it is on disk
    log.append_soon(Entry(..., intent_id=intent.id))
    assert (await log.verify()).ok

Every record holds the hash of the record before it, and is itself hashed with the log's key. So verification finds an
edit, a deletion, an insertion or a change of order. Records can be added, never changed or removed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from importlib.util import find_spec

from arx_wrapper.audit.log import AuditLog, utc_now
from arx_wrapper.audit.record import AuditRecord, Entry
from arx_wrapper.audit.store import PartialViewError, Refused, Store
from arx_wrapper.audit.verification import Verification
from arx_wrapper.errors import AuditError, ConfigError
from arx_wrapper.urls import is_postgres

__all__ = ["AuditLog", "AuditRecord", "Entry", "PartialViewError", "Refused", "Verification", "convert", "open"]


def open(  # noqa: A001 - read as `audit.open`
    url: str,
    *,
    key: bytes | None = None,
    timeout: float = 5.0,
    idle: float = 0.02,
    clock: Callable[[], datetime] = utc_now,
    allow_memory: bool = False,
    read_only: bool = False,
) -> AuditLog:
    """Open the audit log at an address; the database itself is opened on first use.

    Args:
        url: `sqlite:///path`, created with mode 0600, with its key in `path.key`. Or `postgresql://…`, for many hosts.
        key: The log's key; by default `ARX_AUDIT_KEY` as hex, or SQLite's key file.
        timeout: Seconds within which the log is open and a record is durable, or its call fails. Other processes that
            hold the log locked are waited for as long.
        idle: Seconds that an outcome waits for further entries to share its transaction.
        clock: Returns the time, aware.
        allow_memory: True to accept `sqlite:///:memory:`.
        read_only: True to open the log only to read it: nothing is ever written, and recording raises `AuditError`.

    Raises:
        ConfigError: the address is malformed, or of an unknown kind.
    """
    if is_postgres(url):
        return _postgres(url, key=key, timeout=timeout, idle=idle, clock=clock, read_only=read_only)
    if not url.startswith("sqlite:///"):
        raise ConfigError(
            f"There is no audit log of the kind {url.partition(':')[0]!r}; known are sqlite:///path and postgresql://…."
        )
    path = url.removeprefix("sqlite:///")
    if path == ":memory:" and not allow_memory:
        raise ConfigError("An audit log in memory is for the sandbox only. Set ARX_AUDIT_URL=sqlite:///path.")
    from arx_wrapper.audit.storage.sqlite import SqliteStore
    from arx_wrapper.audit.storage.sqlite_read_only import reader

    patience = timeout * 0.8  # shorter than the log's own time-out, so that the error names the cause
    return AuditLog(
        _refuse
        if read_only and path != ":memory:"
        else lambda: SqliteStore(path, key=key, clock=clock, patience=patience),
        timeout=timeout,
        idle=idle,
        reader=None if path == ":memory:" else lambda: reader(path, key=key, patience=patience),
        begun=lambda: not read_only and os.path.exists(path),
    )


def convert(url: str, *, progress: Callable[[int, int], None]) -> tuple[int, int]:
    """Convert a log in SQLite that an earlier version wrote to this version's format.

    Args:
        progress: Called from time to time with the number of converted records, and of all.

    Returns:
        The formats before and after.

    Raises:
        AuditError: the key is not the log's, or records are missing; then nothing is changed.
        ConfigError: there is no log in SQLite at the address.
    """
    path = url.removeprefix("sqlite:///")
    if not url.startswith("sqlite:///") or not os.path.exists(path):
        raise ConfigError(f"There is no log in SQLite at {url}. Nothing was changed.")
    from arx_wrapper.audit.storage.sqlite import SqliteStore
    from arx_wrapper.audit.storage.sqlite_read_only import reader

    with closing(reader(path, key=None)) as found:
        before = found.version()
    with closing(SqliteStore(path, key=None, clock=utc_now, progress=progress)) as store:
        return before, store.version()


def _refuse() -> Store:
    raise AuditError("The audit log was opened read-only, so nothing can be recorded. Nothing was sent.")


def _postgres(
    url: str,
    *,
    key: bytes | None,
    timeout: float,
    idle: float,
    clock: Callable[[], datetime],
    read_only: bool,
) -> AuditLog:
    if find_spec("psycopg") is None:
        raise ConfigError(
            "An audit log in PostgreSQL needs psycopg: pip install 'arx-pagerduty[postgres]'. Nothing was sent."
        )
    from arx_wrapper.audit.storage.postgres import PostgresStore
    from arx_wrapper.audit.storage.postgres_connection import parameters
    from arx_wrapper.audit.storage.postgres_leases import PostgresLeases
    from arx_wrapper.audit.storage.postgres_read_only import reader

    given = parameters(url)
    log = AuditLog(
        _refuse if read_only else lambda: PostgresStore(given, key=key, timeout=timeout, clock=clock),
        timeout=timeout,
        idle=idle,
        reader=lambda: reader(given, key=key, timeout=timeout),
        begun=lambda: not read_only,
    )
    log.share_rate_limits(PostgresLeases)
    return log
