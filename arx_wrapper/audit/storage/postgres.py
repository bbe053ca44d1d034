"""PostgreSQL: many hosts, one chain.

Writers take turns by the row of the chain's head, which they hold until they have committed; a trigger moves it, and
takes no record that does not follow it. A commit that returned is on the server's disk. When the connection is lost
before the answer came, the batch is looked for by its ids, once it can be known whether it is there: behind the turn.

A process id says nothing on another host, so every writer holds an advisory lock for as long as it is connected; a
writer whose lock is free is gone, and its open intents become `unknown`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import psycopg

from arx_wrapper.audit.chain import Chain, Window, answer, windows
from arx_wrapper.audit.key import configured_key
from arx_wrapper.audit.record import AuditRecord, Entry, hasher
from arx_wrapper.audit.storage.migrations import migrate
from arx_wrapper.audit.storage.postgres_connection import Link, connect, explained
from arx_wrapper.audit.storage.postgres_reader import PostgresReader
from arx_wrapper.audit.store import Pending, Written
from arx_wrapper.errors import AuditError

if TYPE_CHECKING:
    from arx_wrapper.audit.store import Segment

_NO_SEGMENTS = "Only a log in SQLite has segments. PostgreSQL's is kept whole; its storage is the server's business."
_MARK = b"arx-pagerduty audit key"
_MAY_WRITE = "SELECT has_column_privilege('records', 'body', 'INSERT')"
_LOCK = "pg_advisory_lock_shared('open_intents'::regclass::oid::integer, %s)"
_TURN = "SELECT seq, hash, reasons FROM take_turn(%s)"
_USED = """
SELECT coalesce(sum(n), 0)::bigint
FROM unnest(%s::text[], %s::text[], %s::text[], %s::float[]) WITH ORDINALITY AS looked(org, agent, op, seconds, i)
LEFT JOIN usage ON (org_id, agent_id, operation) = (org, agent, op)
    AND at > clock_timestamp() - seconds * interval '1 second'
GROUP BY i ORDER BY i
"""
_INSERT = """
WITH counted AS (
    INSERT INTO usage (org_id, agent_id, operation, seq, n)
    SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::bigint[], %b::integer[])
)
INSERT INTO records (seq, id, hash, body) SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::text[])
"""
_FIND = "SELECT seq, id, body, hash FROM records WHERE id = ANY (%s)"
_OPEN = "SELECT intent FROM open_intents WHERE intent = ANY (%s)"
# An open intent whose writer's lock is free. The lock is taken for this transaction only; nobody else waits for it.
_ORPHANS = """
WITH gone AS MATERIALIZED (
    SELECT writer FROM (SELECT DISTINCT writer FROM open_intents WHERE writer <> %s) AS others
    WHERE pg_try_advisory_xact_lock('open_intents'::regclass::oid::integer, writer)
)
SELECT body, hash FROM records JOIN open_intents ON id = open_intents.intent JOIN gone USING (writer) ORDER BY seq
"""


class PostgresStore(PostgresReader):
    """One log in one PostgreSQL database. It connects on first use, and again when the connection was lost."""

    def __init__(
        self, given: Mapping[str, object], *, key: bytes | None, timeout: float, clock: Callable[[], datetime]
    ) -> None:
        secret = key or configured_key()
        if secret is None:
            raise AuditError(
                "An audit log in PostgreSQL needs ARX_AUDIT_KEY, the same on every host: 64 hexadecimal digits, made "
                "once with `openssl rand -hex 32`. Nothing was sent."
            )
        super().__init__(lambda: self._connected(time.monotonic() + self._within), hasher(secret))
        self._given, self._clock = given, clock
        self._within = timeout * 0.8  # so that it is the store that tells the cause, before the log's patience ends
        self._link: Link | None = None
        self._writer: int | None = None
        self._last: Sequence[Pending] = ()
        # What may be in the log though its commit was never answered, and intents whose callers were told that they
        # are not in it.
        self._doubtful: set[str] = set()
        self._disowned: dict[str, Entry] = {}

    def write(self, batch: Sequence[Pending]) -> None:
        wanted = [pending for pending in batch if not pending.abandoned]
        self._disown(pending for pending in self._last if pending.abandoned)
        self._last = wanted
        if not wanted:
            return
        until = time.monotonic() + self._within
        try:
            with explained("written"):
                try:
                    self._append(wanted, until)
                except psycopg.OperationalError:
                    if not self._lost():
                        raise
                    self._append(wanted, until)
        except AuditError:
            self._lost()
            self._disown(pending for pending in wanted if pending.entry.id in self._doubtful)
            raise

    def reader(self) -> PostgresReader:
        """A connection for another thread."""
        with explained("read"):
            self._connected(time.monotonic() + self._within)
            link = connect(self._given, timeout=self._within, to_read=True)
            return PostgresReader(lambda: link, self.digest)

    def rotate(self, *, by: str, org_id: str) -> None:
        raise AuditError(_NO_SEGMENTS)

    def retain(self, before: datetime, *, by: str, org_id: str) -> Sequence[Segment]:
        raise AuditError(_NO_SEGMENTS)

    def suspend(self, agent_id: str, reason: str | None, entry: Entry) -> None:
        """Suspend an agent, or resume it when there is no reason, and record that."""
        with explained("written"):
            link = self._connected(time.monotonic() + self._within)
            with self._turn(link) as chain:
                link.execute("SELECT suspend(%s, %s)", (_text(agent_id), reason and _text(reason)))
                chain.add([Pending(entry)], now=self._clock())

    def suspended(self, agent_id: str) -> str | None:
        """Why an agent is suspended; None when it is not."""
        with explained("read"):
            link = self._connected(time.monotonic() + self._within)
            turn = link.execute(_TURN, ([_text(agent_id)],)).fetchone()
        return turn[2].get(_text(agent_id)) if turn else None

    def close(self) -> None:
        self._disown(pending for pending in self._last if pending.abandoned)
        if self._disowned:
            with contextlib.suppress(AuditError):  # then the next writer finds them without an outcome
                self.write([Pending(_disowned(entry)) for entry in self._disowned.values()])
        if self._link is not None:
            self._link.close()
            self._link = None

    def _append(self, batch: Sequence[Pending], until: float) -> None:
        looked = {window: None for pending in batch for window in windows(pending)}
        agents = {pending.entry.agent_id for pending in batch if pending.checked}
        link, now = self._connected(until), self._clock()
        with self._turn(link, agents, looked) as chain:
            there = self._found(link, batch) if self._doubtful else {}
            chain.add(self._denials(link), now=now)
            chain.add((pending for pending in batch if pending.entry.id not in there), now=now)
            self._doubtful.update(record.id for record in chain.records)
        for pending in batch:
            if found := there.get(pending.entry.id):
                pending.outcome = found
        self._doubtful.clear()
        self._disowned.clear()

    @contextmanager
    def _turn(self, link: Link, agents: Collection[str] = (), looked: Collection[Window] = ()) -> Iterator[Chain]:
        """A transaction that is alone in writing, and commits what the chain has got by its end."""
        with link.transaction():
            turn = link.execute(_TURN, ([_text(agent) for agent in agents],))
            seq, head, reasons = turn.fetchone() or (0, "", {})
            suspended = {agent: reasons[_text(agent)] for agent in agents if _text(agent) in reasons}
            used = link.execute(_USED, _columns(looked, 4)) if looked else ()
            spent = dict(zip(looked, (n for (n,) in used), strict=True))
            chain = Chain(seq, head, self.digest, suspended, spent)
            yield chain
            if chain.records:
                rows = [(seq, record_id, mark, body.decode()) for seq, record_id, body, mark in chain.records]
                link.execute(_INSERT, [*_columns(chain.usage, 5), *_columns(rows, 4)])

    def _found(self, link: Link, batch: Sequence[Pending]) -> dict[str, Written]:
        """What of a batch is in the log after all."""
        rows = link.execute(_FIND, ([pending.entry.id for pending in batch],))
        return {row[1]: Written(row[0], row[1], row[2].encode(), row[3]) for row in rows}

    def _denials(self, link: Link) -> list[Pending]:
        """Intents that are in the log though their callers were told that they are not, and so did not go on."""
        if not self._disowned:
            return []
        there = link.execute(_OPEN, (list(self._disowned),))
        return [Pending(_disowned(self._disowned[intent])) for (intent,) in there]

    def _disown(self, told: Iterable[Pending]) -> None:
        self._disowned |= {p.entry.id: p.entry for p in told if p.entry.action_type == "connector.called"}

    def _connected(self, until: float) -> Link:
        if self._link is None or self._link.closed:
            self._link = None
            left = until - time.monotonic()
            if left <= 0:
                raise psycopg.errors.ConnectionTimeout("timeout expired")
            link = connect(self._given, timeout=left)
            try:
                link.deadline = until
                self._begin(link)
            except BaseException:
                link.close()
                raise
            self._link = link
        self._link.deadline = until
        return self._link

    def _begin(self, link: Link) -> None:
        """The tables, the key, this writer's lock, and what dead writers left behind."""
        migrate(link)
        mark = self.digest(_MARK)
        if link.execute("SELECT claim_key(%s)", (mark,)).fetchone() != (mark,):
            raise AuditError(
                "ARX_AUDIT_KEY is not the key of this audit log: it differs from the one that its first writer had. "
                "Nothing was sent. Set the same key on every host."
            )
        if link.execute(_MAY_WRITE).fetchone() != (True,):
            return  # an auditor's role reads
        if self._writer is None:
            (self._writer,) = link.execute("SELECT nextval('writers')::integer").fetchone() or (None,)
        # Shared, so that the session that was lost, and that the server may not know of yet, is not in the way.
        link.execute(f"SELECT {_LOCK}, set_config('arx_audit.writer', %s, false)", (self._writer, str(self._writer)))
        link.execute("SELECT forget_usage()")
        with self._turn(link) as chain:
            orphans = [AuditRecord.parse(body.encode(), mark) for body, mark in link.execute(_ORPHANS, (self._writer,))]
            gone = (Pending(answer(orphan, "connector.completed", "unknown", "ProcessDied")) for orphan in orphans)
            chain.add(gone, now=self._clock())

    def _lost(self) -> bool:
        """Whether there was a connection that is of no use any more; it is put away."""
        link = self._link
        if link is None or not (link.closed or link.info.transaction_status != psycopg.pq.TransactionStatus.IDLE):
            return False
        link.close()
        self._link = None
        return True


def _disowned(intent: Entry) -> Entry:
    return answer(intent, "connector.refused", "error", "AuditError")


def _text(value: str) -> str:
    """As PostgreSQL's text can hold it; see `said()` in the schema."""
    return value.replace("\0", "\ufffd")


def _columns(rows: Iterable[Sequence[object]], width: int) -> list[list[object]]:
    """Rows as an array for each column."""
    columns = zip(*rows, strict=True) if rows else [()] * width
    return [[_text(value) if isinstance(value, str) else value for value in column] for column in columns]
