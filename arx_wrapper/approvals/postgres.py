"""Keep approvals in PostgreSQL: connect, create the tables, and grant roles access to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from arx_wrapper.approvals import store_errors
from arx_wrapper.approvals.database import Connected, Rows, Transaction
from arx_wrapper.approvals.sql import ACCESS, SCHEMA
from arx_wrapper.errors import ApprovalError

_READ_ONLY = "25006"
_LOCK = 0x617278_617070  # the key of the advisory lock, which one writer holds at a time
_MADE = """
SELECT requests IS NOT NULL, to_regclass('approval_access') IS NOT NULL,
       coalesce((SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = requests), true)
FROM to_regclass('approval_requests_v2') AS requests
"""
_RIGHTS = {
    "approval_requests_v2": SQL("SELECT, INSERT, UPDATE"),
    "approval_reviews_v2": SQL("SELECT, INSERT"),
    "approval_messages": SQL("SELECT, INSERT, DELETE"),
}


class PostgreSQL(Connected[psycopg.Connection[tuple[Any, ...]]]):
    """A PostgreSQL database, through psycopg."""

    def __init__(self, url: str, *, schema: str, timeout: float) -> None:
        self._url, self._schema, self._timeout = url, schema, timeout

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        with self._transaction(lock=False) as run:
            yield run

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self._transaction(lock=True) as run:
            yield run

    @contextmanager
    def _transaction(self, *, lock: bool) -> Iterator[Transaction]:
        try:
            connection = self.connected()

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
            raise ApprovalError(store_errors.in_postgres(error)) from None

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
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
            make_tables(connection, self._schema)
        except BaseException:
            connection.close()
            raise
        return connection


def make_tables(connection: psycopg.Connection[tuple[Any, ...]], schema: str) -> None:
    """Create the tables, or upgrade those of an earlier version when this role owns them.

    A role may be allowed to use the tables but not to create them.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        made, ruled, owned = connection.execute(_MADE).fetchone() or (False, False, True)
        if not made or (not ruled and owned):
            connection.execute(schema.encode())
            connection.execute(ACCESS.encode())


def make(url: str, *, within: float) -> None:
    """Create or upgrade the tables of the approvals at an address. Raises as `grant()` does."""
    with _owner(url, within):
        pass


def grant(url: str, role: str, org_id: str, *, reads_only: bool, within: float) -> None:
    """Give a role access to an organisation's requests, and create missing tables. Only the tables' owner can do this.

    Args:
        role: A role of the server.
        org_id: The organisation whose requests it may use; `*` stands for all.
        reads_only: True for a role that reads, and neither requests nor decides.
        within: Seconds for each statement.

    Raises:
        ApprovalError: this role does not own the tables, there is no such role, or the server cannot be used.
    """
    with _owner(url, within) as connection, connection.transaction():
        reaches = "SELECT current_schema(), has_schema_privilege(%s, current_schema(), 'USAGE')"
        schema, reached = connection.execute(reaches, (role,)).fetchone() or ("public", True)
        if not reached:
            connection.execute(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(Identifier(schema), Identifier(role)))
        for table, rights in _RIGHTS.items():
            given = SQL("SELECT") if reads_only else rights
            connection.execute(SQL("REVOKE ALL ON {} FROM {}").format(Identifier(table), Identifier(role)))
            connection.execute(SQL("GRANT {} ON {} TO {}").format(given, Identifier(table), Identifier(role)))
        row = (role, org_id)
        connection.execute("INSERT INTO approval_access VALUES (%s, %s) ON CONFLICT DO NOTHING", row)


def revoke(url: str, role: str, *, within: float) -> None:
    """Revoke a role's access to the requests. Only the tables' owner can do this. Raises as `grant()` does."""
    with _owner(url, within) as connection, connection.transaction():
        connection.execute("DELETE FROM approval_access WHERE role = %s", (role,))
        for table in _RIGHTS:
            connection.execute(SQL("REVOKE ALL ON {} FROM {}").format(Identifier(table), Identifier(role)))


@contextmanager
def _owner(url: str, within: float) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    try:
        with closing(PostgreSQL(url, schema=SCHEMA, timeout=within)) as database:
            yield database.connected()
    except psycopg.Error as error:
        # The driver's own text may quote the address, which holds a password.
        raise ApprovalError(
            f"Access to the approvals in PostgreSQL cannot be set: {type(error).__name__} {error.sqlstate or ''}. "
            "Nothing was changed. Their tables' owner does this."
        ) from None
