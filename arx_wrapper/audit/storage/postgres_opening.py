"""Open a log in PostgreSQL for reading; nothing is created or written."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from arx_wrapper.audit.key import configured_key
from arx_wrapper.audit.record import hasher
from arx_wrapper.audit.storage.migrations import made
from arx_wrapper.audit.storage.postgres_connection import connect, explained
from arx_wrapper.audit.storage.postgres_reader import PostgresReader
from arx_wrapper.audit.storage.sqlite_opening import empty_reader
from arx_wrapper.audit.store import Reader
from arx_wrapper.errors import AuditError

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
    return PostgresReader(lambda: link, _digest(key))


def _digest(key: bytes | None) -> Callable[[bytes], str]:
    """Return HMAC-SHA256 with the log's key. The key is required only when a hash is computed, not to read records."""

    def digest(data: bytes) -> str:
        secret = key or configured_key()
        if secret is None:
            raise AuditError(NO_KEY)
        return hasher(secret)(data)

    return digest
