"""Connect to PostgreSQL with a deadline, and turn errors into messages that name the cause but no secret."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict

from arx_wrapper.errors import AuditError, ConfigError

_T = TypeVar("_T")

Row = tuple[Any, ...]

# A confirmed commit is on disk, whatever the server's or the role's defaults. READ COMMITTED lets a writer that waited
# for the lock see the records written meanwhile. A writer that dies while it holds the lock loses it.
_SETTINGS = """
SELECT set_config(name, value, false) FROM (VALUES
    ('search_path', 'arx_audit, pg_temp'),
    ('default_transaction_isolation', 'read committed'),
    ('synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on')),
    ('client_encoding', 'UTF8'),
    ('lock_timeout', %(locks)s),
    ('statement_timeout', %(statements)s),
    ('idle_in_transaction_session_timeout', %(idle)s)
) AS setting(name, value)
"""

_CAUSES: Mapping[str, str] = {
    "23": "the record was refused; another writer breaks the log's rules",
    "25006": "the server accepts no writes: it is a standby, or read-only",
    "28": "the server refuses the log-in",
    "3D": "there is no such database",
    "42501": "the role lacks a right, or the organisation is not one of its own (`arx-pagerduty audit grant`)",
    "53100": "the server's disk is full",
    "53": "the server is out of memory or connections",
    "55P03": "another session holds the log locked",
    "57014": "the server did not answer in time",
    "57P": "the server is shutting down or starting",
    "58": "the server's disk does not work",
}
_PHRASES: Mapping[str, str] = {
    "Connection refused": "nothing listens at its address",
    "No such file or directory": "nothing listens at its socket",
    "timeout expired": "the server did not answer in time",
    "Temporary failure in name resolution": "its host name cannot be looked up, because no name server responds",
    "could not translate host name": "its host name is not known",
    "Name or service not known": "its host name is not known",
    "password authentication failed": "the server refuses the user or the password",
    "no password supplied": "the server requires a password, and the address has none",
    "no pg_hba.conf entry": "the server refuses this host, user or way of connecting",
    "does not support SSL": "the server offers no TLS, which sslmode requires",
    "certificate": "the server's certificate does not verify",
    "does not exist": "there is no such user or database",
    "too many c": "the server has no connection left",
    "starting up": "the server is starting",
    "shutting down": "the server is shutting down",
    "read-only": "the server takes no writes: it is a standby, or read-only",
    "standby": "the server takes no writes: it is a standby, or read-only",
}


class Link(psycopg.Connection[Row]):
    """A connection that is closed when a response does not arrive by its deadline.

    The server's own time-outs do not help when the server or the network hangs.

    Attributes:
        deadline: The time by which the next response must arrive, by `time.monotonic()`.
        backend: The server's process for this session; 0 for a connection that only reads.
    """

    deadline = float("inf")
    backend = 0

    def wait(self, gen: PQGen[_T], interval: float = 0.1, timeout: float | None = None) -> _T:
        if self.deadline == float("inf"):
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, max(self.deadline - time.monotonic(), 0.0))
        except psycopg.OperationalError:
            if time.monotonic() >= self.deadline:
                self.close()  # a late response must not be taken for that to the next statement
            raise


def parameters(url: str) -> dict[str, Any]:
    """Parse an address into connection parameters. The ConfigError omits the address, which may hold a password."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise ConfigError(
            "ARX_AUDIT_URL is not an address for PostgreSQL (it is not shown, as it may hold a password). It has the "
            "form postgresql://user:password@host:port/database?sslmode=verify-full; special characters in the "
            "password are percent-encoded. Nothing was sent."
        ) from None
    defaults = {
        "application_name": "arx-pagerduty",
        "target_session_attrs": "read-write",  # of several hosts, the one that accepts writes
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
    return {**defaults, **given}


def connect(given: Mapping[str, Any], *, timeout: float, to_read: bool = False) -> Link:
    """Connect within about `timeout` seconds. Statements have the same time to write; reading has no limit."""
    seconds = max(2, int(timeout))  # libpq accepts no less
    link = Link.connect(**{"connect_timeout": seconds, **given, "autocommit": True})
    try:
        link.deadline = time.monotonic() + timeout
        within = f"{max(1, int(timeout * 1000))}ms"
        statements, idle = ("0", "10min") if to_read else (within, within)
        # Shorter than a statement's time, which leaves time to find out which session holds the lock.
        locks = f"{max(1, int(timeout * 800))}ms"
        link.execute(_SETTINGS, {"locks": locks, "statements": statements, "idle": idle})
        encoding, fsync, backend = link.execute(
            "SELECT current_setting('server_encoding'), current_setting('fsync'), pg_backend_pid()"
        ).fetchone() or ("", "", 0)
        if encoding != "UTF8":
            raise AuditError(f"The audit log's database has encoding {encoding}; it must be UTF8. Nothing was sent.")
        if fsync != "on":
            raise AuditError("The audit log's server runs with fsync off: it could lose records. Nothing was sent.")
        if not to_read:
            link.backend = backend
            _refuse_pooler(link, given, timeout)
        link.deadline = float("inf")
    except BaseException:
        link.close()
        raise
    return link


POOLED = (
    "The audit log's address leads to a connection pooler that gives every transaction another session (PgBouncer's "
    "`pool_mode = transaction`): locks and settings would be lost between them, and outcomes with them. Nothing was "
    "sent. Connect to PostgreSQL itself, or to a pool with `pool_mode = session`."
)
_PROBES = 3


def _refuse_pooler(link: Link, given: Mapping[str, Any], timeout: float) -> None:
    """Refuse a pooler in transaction mode.

    A pooler gives its clients process numbers of its own. When the number differs from the session's, a second
    connection reads its session's process: two connections with the same process share a session. A pool that this does
    not detect is detected by the first transaction that runs in another session.

    Raises:
        AuditError: sessions are shared.
    """
    if link.info.backend_pid == link.backend:
        return
    others = []
    try:
        for _ in range(_PROBES):
            if link.execute("SELECT pg_backend_pid()").fetchone() != (link.backend,):
                raise AuditError(POOLED)
            other = Link.connect(**{"connect_timeout": max(2, int(timeout)), **given, "autocommit": True})
            others.append(other)
            other.deadline = link.deadline
            other.execute("BEGIN")
            if other.execute("SELECT pg_backend_pid()").fetchone() == (link.backend,):
                raise AuditError(POOLED)
    finally:
        for other in others:
            other.close()


@contextmanager
def explained(doing: str, *, sent: str = " Nothing was sent.") -> Iterator[None]:
    """Turn the driver's errors into an `AuditError`, without their text, which may quote the address."""
    try:
        yield
    except psycopg.Error as error:
        raise AuditError(f"The audit log in PostgreSQL cannot be {doing}: {_cause(error)}.{sent}") from None


def _cause(error: psycopg.Error) -> str:
    state = error.sqlstate
    if state:
        text = next((cause for prefix, cause in _CAUSES.items() if state.startswith(prefix)), type(error).__name__)
        return f"{text} (SQLSTATE {state})"
    message, other = str(error), "the connection was lost"
    if not isinstance(error, psycopg.OperationalError):
        other = type(error).__name__
    return next((cause for phrase, cause in _PHRASES.items() if phrase in message), other)
