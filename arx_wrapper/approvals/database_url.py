"""Open the database that the approvals' address names: SQLite or PostgreSQL."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from arx_wrapper.approvals.database import Database, SQLite
from arx_wrapper.errors import ConfigError
from arx_wrapper.urls import is_postgres


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
    if is_postgres(url):
        if importlib.util.find_spec("psycopg") is None:
            raise ConfigError("PostgreSQL needs psycopg: pip install 'arx-pagerduty[postgres]'. Nothing was sent.")
        from arx_wrapper.approvals.postgres import PostgreSQL

        return PostgreSQL(url, schema=schema, timeout=timeout)
    raise ConfigError("ARX_APPROVALS_URL: accepted are sqlite:///path and postgresql://…; nothing was sent.")
