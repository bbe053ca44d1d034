"""Request leases of a rate limit on the connection and thread that write the log."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future

from arx_wrapper.audit.storage.postgres import PostgresStore
from arx_wrapper.audit.writer import Writer
from arx_wrapper.errors import AuditError
from arx_wrapper.model import Lease, LeaseRequest


class PostgresLeases:
    """Requests leases in the audit log's database, without a further connection."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def ask(self, request: LeaseRequest, answer: Callable[[Lease | None], None]) -> None:
        def job(store: object) -> Lease | None:
            return store.lease(request) if isinstance(store, PostgresStore) else None

        def done(future: Future[Lease | None]) -> None:
            try:
                answer(future.result())
            except (AuditError, CancelledError):
                answer(None)

        if not self._writer.opened:  # opening would block; recording a call opens it
            answer(None)
            return
        self._writer.run(job).add_done_callback(done)
