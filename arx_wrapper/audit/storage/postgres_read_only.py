"""Open a log in PostgreSQL for reading; nothing is created or written."""

from __future__ import annotations

from collections.abc import Mapping

from arx_wrapper.audit.key import configured_key, late_hasher
from arx_wrapper.audit.storage.migrations import made
from arx_wrapper.audit.storage.postgres_connection import connect, explained
from arx_wrapper.audit.storage.postgres_reader import PostgresReader
from arx_wrapper.audit.storage.sqlite_read_only import empty_reader
from arx_wrapper.audit.store import Reader

NO_KEY = (
    "An audit log in PostgreSQL needs ARX_AUDIT_KEY, the same on every host: 64 hexadecimal digits, made once with "
    "`openssl rand -hex 32`. Nothing was sent."
)


def reader(given: Mapping[str, object], *, key: bytes | None, timeout: float) -> Reader:
    """Open a log read-only. No table is created; a log that does not exist yet reads as an empty one.

    Raises:
        AuditError: it cannot be read, or its tables are of another version.
    """
    with explained("read"):
        link = connect(given, timeout=timeout * 0.8, to_read=True)
        try:
            begun = made(link)
        except BaseException:
            link.close()
            raise
    if not begun:
        link.close()
        return empty_reader()
    return PostgresReader(lambda: link, late_hasher(lambda: key or configured_key(), NO_KEY))
