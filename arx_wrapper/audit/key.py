"""A log's key: as it is configured, or as a file holds it."""

from __future__ import annotations

import os

from arx_wrapper.errors import AuditError

_SHORTEST = 32


def configured_key() -> bytes | None:
    """`ARX_AUDIT_KEY`; None when it is not set. AuditError when it is too short, or no hexadecimal digits."""
    configured = os.environ.get("ARX_AUDIT_KEY")
    return parsed_key(configured, "ARX_AUDIT_KEY") if configured else None


def parsed_key(text: str, where: str) -> bytes:
    """A key that is long enough to be one.

    Raises:
        AuditError: it is not, and whoever wants could compute a log's hashes.
    """
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) < _SHORTEST:
        raise AuditError(f"{where} must be at least {2 * _SHORTEST} hexadecimal digits. Nothing was sent.")
    return key
