"""Lease parts of a key's rate limit, shared by all processes that use one PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable

from arx_wrapper.audit.storage.postgres_connection import Link
from arx_wrapper.model import Lease, LeaseRequest

_LEASE = """
SELECT turn, calls, allowed, lasts, retry
FROM lease_rate(%s, %s, %s, %s, %s, %s::bigint, %s::integer, %s::integer, %s::float, %s::float, %s::float)
"""


def lease(link: Link, request: LeaseRequest, digest: Callable[[bytes], str]) -> Lease:
    """Lease a part of the rate limit, in a transaction of its own.

    Args:
        digest: HMAC-SHA256 with the log's key; hides the account's name from the database.
    """
    seen = request.seen or (None, None, None)
    values = (
        digest(b"rate limit\0" + request.subject.encode()),
        request.holder,
        request.wants,
        request.keeps,
        request.spent,
        request.window,
        *seen,
        request.ends,
        request.seconds,
    )
    row = link.execute(_LEASE, values).fetchone()
    return Lease(*row) if row else Lease(0, 0, None, 0.0, 1.0)
