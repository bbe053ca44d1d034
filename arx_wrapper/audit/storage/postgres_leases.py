"""Lease parts of a key's rate limit, shared by all processes that use one PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Protocol, runtime_checkable

from arx_wrapper.audit.storage.postgres_connection import Link
from arx_wrapper.audit.writer import Writer
from arx_wrapper.errors import AuditError
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


@runtime_checkable
class _Leasing(Protocol):
    """A store that leases parts of a rate limit."""

    def lease(self, request: LeaseRequest) -> Lease: ...


class PostgresLeases:
    """Requests leases in the audit log's database, on the connection and thread that write the log."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def ask(self, request: LeaseRequest, answer: Callable[[Lease | None], None]) -> None:
        def job(store: object) -> Lease | None:
            return store.lease(request) if isinstance(store, _Leasing) else None

        def done(future: Future[Lease | None]) -> None:
            try:
                answer(future.result())
            except (AuditError, CancelledError):
                answer(None)

        if not self._writer.opened:  # opening would block; recording a call opens it
            answer(None)
            return
        self._writer.run(job).add_done_callback(done)
