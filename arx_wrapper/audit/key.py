"""The log's key as it is configured."""

from __future__ import annotations

import os

from arx_wrapper.errors import AuditError


def configured_key() -> bytes | None:
    """`ARX_AUDIT_KEY`; None when it is not set. AuditError when it is too short, or no hexadecimal digits."""
    configured = os.environ.get("ARX_AUDIT_KEY")
    if not configured:
        return None
    try:
        key = bytes.fromhex(configured)
    except ValueError:
        key = b""
    if len(key) < 32:
        raise AuditError("ARX_AUDIT_KEY must be at least 64 hexadecimal digits. Nothing was sent.")
    return key
