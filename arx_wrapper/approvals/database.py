"""Run transactions on the approvals' database, SQLite or PostgreSQL, each without other writers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from arx_wrapper.approvals import store_errors
from arx_wrapper.errors import ApprovalError
from arx_wrapper.files import private_file

if TYPE_CHECKING:
    import sqlite3

Rows = list[tuple[Any, ...]]


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


class Closable(Protocol):
    """A connection of a database driver."""

    def close(self) -> None: ...


_C = TypeVar("_C", bound=Closable)


class Connected(ABC, Generic[_C]):
    """Keeps one connection, which is opened on first use and again after `close()`."""

    _connection: _C | None = None

    def connected(self) -> _C:
        """Return the connection, whose tables exist."""
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @abstractmethod
    def _connect(self) -> _C:
        """Open a connection, and create the tables if they are missing."""


class SQLite(Connected["sqlite3.Connection"]):
    """An SQLite file that only its owner can read."""

    def __init__(self, path: Path | None, *, schema: str, timeout: float) -> None:
        self._path, self._schema, self._timeout = path, schema, timeout

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        with self._transaction("BEGIN") as run:
            yield run

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self._transaction("BEGIN IMMEDIATE") as run:
            yield run

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Transaction]:
        import sqlite3

        try:
            connection = self.connected()

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
            raise ApprovalError(store_errors.in_sqlite(self._path, error)) from error

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
        return connection
