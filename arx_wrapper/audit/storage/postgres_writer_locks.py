"""Manage the locks of writers in PostgreSQL: one that each holds while connected, and one for the present writer."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from arx_wrapper.audit.record import AuditRecord
from arx_wrapper.audit.storage.postgres_connection import Link
from arx_wrapper.errors import AuditError

_TRIES: Final = 8
_LOCK = "SELECT pg_try_advisory_lock_shared('open_intents'::regclass::oid::integer, %s)"
# Open intents whose writer's lock is held by no session of the role that wrote them. Any role can take any advisory
# lock, so a lock that another role holds does not count.
_ORPHANS = """
WITH held AS MATERIALIZED (
    SELECT objid::bigint AS writer, usesysid AS role FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND classid = 'open_intents'::regclass::oid
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT body, hash FROM records JOIN open_intents ON id = open_intents.intent
WHERE writer <> %s AND NOT EXISTS (
    SELECT FROM held WHERE held.writer = open_intents.writer AND held.role = coalesce(open_intents.role, held.role)
) ORDER BY seq
"""
# The session whose transaction has locked the head.
_HOLDER = """
SELECT usename, pid FROM head JOIN pg_locks ON transactionid = head.xmax AND granted JOIN pg_stat_activity USING (pid)
"""


def hold_lock(link: Link, writer: int | None) -> int:
    """Take a writer's lock, for the duration of the session.

    The lock is shared, so that a lost session, which the server may not have noticed yet, does not block it. Its number
    is random, so that another role cannot take it first and keep this writer from connecting.

    Args:
        writer: The writer's number in an earlier session; None for a new writer.

    Returns:
        The writer's number.
    """
    for _ in range(_TRIES):
        number = secrets.randbelow(2**31 - 1) + 1 if writer is None else writer
        if link.execute(_LOCK, (number,)).fetchone() == (True,):
            link.execute("SELECT set_config('arx_audit.writer', %s, false)", (str(number),))
            return number
        writer = None
    raise AuditError("Another session holds the locks of the audit log's writers. Nothing was sent.")


def orphans(link: Link, writer: int | None) -> Sequence[AuditRecord]:
    """Return the open intents of dead writers, inside a transaction that holds the head."""
    return [AuditRecord.parse(body.encode(), mark) for body, mark in link.execute(_ORPHANS, (writer,))]


def locked(link: Link) -> str:
    """Return the message for a head that another session keeps locked; it names that session."""
    held = link.execute(_HOLDER).fetchone()
    if held is None:
        return "Another session locked the audit log in PostgreSQL for too long. Nothing was sent. Try again."
    role, process = held
    return (
        "The audit log in PostgreSQL cannot be written: another session holds the log locked, of role "
        f"{role!a}, process {process} of the server. Nothing was sent. The server's administrator ends it with "
        f"SELECT pg_terminate_backend({process})."
    )
