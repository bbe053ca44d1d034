"""Run transactions on the approvals' database, SQLite or PostgreSQL, each without other writers."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from arx_wrapper.errors import ApprovalError, ConfigError
from arx_wrapper.files import private_file

if TYPE_CHECKING:
    import sqlite3

    import psycopg

Rows = list[tuple[Any, ...]]

_READ_ONLY = "25006"
_LOCK = 0x617278_617070  # the key of PostgreSQL's advisory lock, which one writer holds at a time


class Transaction(Protocol):
    """Runs statements, with `?` for each argument."""

    def __call__(self, sql: str, args: Sequence[object] = ()) -> Rows: ...


class Database(Protocol):
    """A database, used from one thread only. It connects on first use."""

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Run statements that see one state of the database."""
        ...

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Run statements together or not at all, durably, with no other writer in between."""
        ...

    def close(self) -> None: ...


def database(url: str, *, schema: str, timeout: float, allow_memory: bool = False) -> Database:
    """Return the database at an address; nothing is opened yet.

    Args:
        url: `sqlite:///path` or `postgresql://…`.
        schema: Statements that create the tables unless they exist, each ending in `;`.
        timeout: Seconds to wait for another writer.
        allow_memory: Whether `sqlite:///:memory:` is accepted, which ends with the process.

    Raises:
        ConfigError: the address is of another kind, or in memory where that is not allowed.
    """
    if url.startswith("sqlite://"):
        path = url.removeprefix("sqlite://").removeprefix("/")
        if path in ("", ":memory:"):
            if not allow_memory:
                raise ConfigError(
                    "ARX_APPROVALS_URL: approvals in memory would be lost with the process; "
                    "use sqlite:///path. Nothing was sent."
                )
            return SQLite(None, schema=schema, timeout=timeout)
        return SQLite(Path(path), schema=schema, timeout=timeout)
    if url.startswith(("postgresql://", "postgres://")):
        if importlib.util.find_spec("psycopg") is None:
            raise ConfigError("PostgreSQL needs psycopg: pip install 'arx-pagerduty[postgres]'. Nothing was sent.")
        return PostgreSQL(url, schema=schema, timeout=timeout)
    raise ConfigError("ARX_APPROVALS_URL: accepted are sqlite:///path and postgresql://…; nothing was sent.")


class SQLite:
    """An SQLite file that only its owner can read."""

    def __init__(self, path: Path | None, *, schema: str, timeout: float) -> None:
        self._path, self._schema, self._timeout = path, schema, timeout
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        with self._transaction("BEGIN") as run:
            yield run

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self._transaction("BEGIN IMMEDIATE") as run:
            yield run

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Transaction]:
        import sqlite3

        try:
            connection = self._connection or self._connect()

            def run(sql: str, args: Sequence[object] = ()) -> Rows:
                return connection.execute(sql, args).fetchall()

            connection.execute(begin)
            try:
                yield run
            except BaseException:
                connection.rollback()
                raise
            try:
                connection.execute("COMMIT")
            except sqlite3.Error:
                connection.rollback()
                raise
        except (sqlite3.Error, OSError) as error:
            raise ApprovalError(
                f"The approval store {self._path or 'in memory'} cannot be used: {error}. Nothing was sent."
            ) from error

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        if self._path:
            private_file(self._path)
        connection = sqlite3.connect(
            self._path or ":memory:", timeout=self._timeout, isolation_level=None, check_same_thread=True
        )
        try:
            # A decision and its use must survive a power cut: losing a use would let an approval be used twice.
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            for statement in filter(str.strip, self._schema.split(";")):
                connection.execute(statement)
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection


class PostgreSQL:
    """A PostgreSQL database, through psycopg."""

    def __init__(self, url: str, *, schema: str, timeout: float) -> None:
        self._url, self._schema, self._timeout = url, schema, timeout
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        with self._transaction(lock=False) as run:
            yield run

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self._transaction(lock=True) as run:
            yield run

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self, *, lock: bool) -> Iterator[Transaction]:
        import psycopg

        try:
            connection = self._connection or self._connect()

            def run(sql: str, args: Sequence[object] = ()) -> Rows:
                cursor = connection.execute(sql.replace("?", "%s").encode(), args)
                return cursor.fetchall() if cursor.description else []

            with connection.transaction():
                if lock:
                    run("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
                else:
                    run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield run
        except psycopg.Error as error:
            if self._connection is not None and (self._connection.closed or error.sqlstate == _READ_ONLY):
                self.close()  # the next call connects anew, perhaps to another server
            # The driver's own text may quote the address, which holds a password.
            raise ApprovalError(
                f"The approval store in PostgreSQL cannot be used: {type(error).__name__} "
                f"{error.sqlstate or ''}. Nothing was sent."
            ) from None

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        import psycopg

        connection = psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=max(2, int(self._timeout)),
            target_session_attrs="read-write",
            # Detect a server that disappeared within seconds, long before TCP's own time-out.
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=int(self._timeout * 2000),
        )
        try:
            for setting in ("lock_timeout", "statement_timeout"):
                connection.execute("SELECT set_config(%s, %s, false)", (setting, f"{self._timeout * 1000:.0f}ms"))
            connection.execute("SET synchronous_commit = on")
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                # The role may be allowed to use the tables but not to create them.
                made = connection.execute("SELECT to_regclass('approval_requests_v2')").fetchone()
                if made == (None,):
                    connection.execute(self._schema.encode())
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection
