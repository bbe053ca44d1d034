"""Create and upgrade the log's tables in PostgreSQL: each version is a file in `schema/`, applied once, in order."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from arx_wrapper.errors import AuditError

if TYPE_CHECKING:
    import psycopg

_LOCK = 0x617278_617564  # the key of the advisory lock under which tables are created
_VERSIONS = """
CREATE SCHEMA IF NOT EXISTS arx_audit;
CREATE TABLE IF NOT EXISTS arx_audit.versions (
    version integer PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""
_APPLIED = "INSERT INTO arx_audit.versions (version) VALUES ({});\n"
_STATE = """
SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'arx_audit'),
       coalesce((SELECT pg_has_role(relowner, 'USAGE') FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
                 WHERE nspname = 'arx_audit' AND relname = 'versions'), true)
"""


def versions() -> dict[int, str]:
    """Return every version's statements by its number."""
    found = sorted((files(__package__) / "schema").iterdir(), key=lambda file: file.name)
    return {int(file.name[:4]): file.read_text(encoding="utf-8") for file in found if file.name.endswith(".sql")}


def script() -> Iterator[str]:
    """Yield the statements that create the tables, for `psql --single-transaction`."""
    yield _VERSIONS.lstrip()
    for version, statements in versions().items():
        yield statements
        yield _APPLIED.format(version)


def migrate(link: psycopg.Connection[tuple[Any, ...]], *, up_to: int | None = None) -> int:
    """Upgrade the tables to this version of the code, completely or not at all.

    Returns:
        The version that was found: 0 when there were no tables.

    Raises:
        AuditError: the tables are newer than this code, or older and not this role's to change.
    """
    known = versions()
    newest = up_to or max(known)
    with link.transaction():
        found, owned = _found(link)
        if found == newest:
            return found
        if found > newest:
            raise AuditError(
                f"The audit log's tables have version {found}, this arx-pagerduty knows {newest} at most. Nothing was "
                "sent. Upgrade arx-pagerduty on this host."
            )
        if not owned:
            raise AuditError(
                f"The audit log's tables have version {found}, this arx-pagerduty needs {newest}, and they are not "
                "this role's to change. Nothing was sent. Their owner runs `arx-pagerduty audit migrate`."
            )
        link.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        link.execute(_VERSIONS.encode())
        found, _ = _found(link)  # another process may have upgraded them meanwhile
        for version in range(found + 1, newest + 1):
            link.execute(known[version].encode())
            link.execute(_APPLIED.format(version).encode())
    return found


def made(link: psycopg.Connection[tuple[Any, ...]]) -> bool:
    """Return True when there are tables to read.

    Raises:
        AuditError: they have another version.
    """
    found, _ = _found(link)
    if found not in (0, max(versions())):
        raise AuditError(
            f"The audit log's tables have version {found}, this arx-pagerduty reads {max(versions())}. Nothing was "
            "changed. Their owner runs `arx-pagerduty audit migrate`, or this host upgrades arx-pagerduty."
        )
    return bool(found)


def _found(link: psycopg.Connection[tuple[Any, ...]]) -> tuple[int, bool]:
    """Return the present version, and True when this role may change the tables."""
    exists, owned = link.execute(_STATE).fetchone() or (False, True)
    if not exists:
        return 0, owned
    made = link.execute("SELECT to_regclass('arx_audit.versions') IS NOT NULL").fetchone()
    if made != (True,):
        return 0, owned
    (version,) = link.execute("SELECT coalesce(max(version), 0) FROM arx_audit.versions").fetchone() or (0,)
    return version, owned
