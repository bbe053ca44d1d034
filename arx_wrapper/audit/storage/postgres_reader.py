"""Read a log in PostgreSQL: records by their members, and all stored records for verification."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import LiteralString

from arx_wrapper.audit.blocks import Block
from arx_wrapper.audit.chain_state import LONGEST_LIMIT, SWITCHES, ChainState, counted_of
from arx_wrapper.audit.key import ANOTHER_KEY, MARK
from arx_wrapper.audit.merkle import leaf_hash
from arx_wrapper.audit.record import AuditRecord, outline_of
from arx_wrapper.audit.storage.postgres_connection import Link, explained
from arx_wrapper.audit.storage.postgres_schema import schema_problem
from arx_wrapper.audit.storage.postgres_segments import expired, segments
from arx_wrapper.audit.store import PartialViewError, Query, Segment
from arx_wrapper.audit.tiles import WIDTH, TileTree, hashes_in
from arx_wrapper.errors import AuditError

_AT_ONCE = 1_000
_LAST = (1 << 63) - 1  # the largest bigint
_HEAD = """
SELECT head.seq, head.hash, (SELECT coalesce(max(seq), 0) FROM records),
       (SELECT hash FROM records WHERE records.seq = head.seq) FROM head
"""
_DIFFERING = """
SELECT seq FROM records, LATERAL readable(body) AS said
WHERE json_build_array(created_at, prev_hash, org_id, agent_id, action_type, operation, verdict, status, intent,
        approval_id, reviewer, counted::text)::text
    <> json_build_array(said ->> 'created_at', said ->> 'prev_hash', said ->> 'org_id', said ->> 'agent_id',
        said ->> 'action_type', said ->> 'operation', said ->> 'policy_verdict', said ->> 'status',
        said #>> '{metadata,intent}', said ->> 'approval_id', said #>> '{metadata,reviewer}',
        CASE WHEN action_type = 'connector.called' AND counted IS NOT NULL THEN said #>> '{metadata,counted}' END)::text
LIMIT 1
"""
_SCOPE = "SELECT sees_all(), row_security_active('records'), ARRAY(SELECT org_id FROM access)"
_OPERATIONS = """
WITH RECURSIVE each AS (
    (SELECT operation FROM records WHERE operation IS NOT NULL ORDER BY operation LIMIT 1)
    UNION ALL
    SELECT (SELECT operation FROM records WHERE operation > each.operation ORDER BY operation LIMIT 1)
    FROM each WHERE each.operation IS NOT NULL
)
SELECT operation FROM each WHERE operation IS NOT NULL
"""
_OWN_OPERATIONS = """
WITH RECURSIVE each AS (
    SELECT org, (SELECT min(operation) FROM records WHERE org_id = org) AS operation FROM unnest(%s::text[]) AS org
    UNION ALL
    SELECT org, (SELECT min(operation) FROM records WHERE org_id = each.org AND operation > each.operation)
    FROM each WHERE each.operation IS NOT NULL
)
SELECT DISTINCT operation FROM each WHERE operation IS NOT NULL
"""
_OPENED = "SELECT intent FROM open_intents"
_COUNTED = "SELECT seq, operation, n FROM usage WHERE at > clock_timestamp() - interval '23 hours'"
_SWITCHES = "SELECT body FROM records WHERE action_type = ANY (%s) ORDER BY seq"
_TOTALS = """
SELECT operation FROM (
    SELECT org_id, agent_id, operation, upto - sum(n) OVER uses AS base, at < lag(at) OVER uses AS back
    FROM usage WINDOW uses AS (PARTITION BY org_id, agent_id, operation ORDER BY seq)
) AS summed GROUP BY org_id, agent_id, operation HAVING count(DISTINCT base) > 1 OR bool_or(back) LIMIT 1
"""


class PostgresReader:
    """A connection that reads a log in the state at which each statement begins."""

    gapless = False  # row-level security may show some organisations' records alone

    def __init__(self, link: Callable[[], Link], digest: Callable[[bytes], str]) -> None:
        self._reading, self.digest = link, digest

    def hold(self) -> None:
        """Do nothing: each statement sees one state of the log."""

    def release(self) -> None:
        """Do nothing: a transaction ends with its statement."""

    def size(self) -> int:
        with explained("read"):
            (last,) = self._reading().execute("SELECT seq FROM head").fetchone() or (0,)
        return int(last)

    def select(self, query: Query) -> Iterator[AuditRecord]:
        with explained("read"):
            where, values = self._conditions(query)
        order: LiteralString = "DESC" if query.newest_first else "ASC"
        statement: LiteralString = f"SELECT body, hash FROM records WHERE {where} ORDER BY seq {order} LIMIT %s"  # noqa: S608 - ours
        for body, record_hash in self._stream(statement, [*values, query.limit]):
            yield AuditRecord.parse(body.encode(), record_hash)

    def bodies(self, since: str | None = None) -> Iterator[bytes]:
        with explained("read"):
            where, values = self._conditions(Query(since=since))
        statement: LiteralString = f"SELECT body FROM records WHERE {where} ORDER BY seq"  # noqa: S608 - ours
        for (body,) in self._stream(statement, values):
            yield body.encode()

    def rows(self, after: int = 0, until: int | None = None) -> Iterator[tuple[int, str, bytes, str]]:
        self._must_see_all()
        statement: LiteralString = "SELECT seq, id, body, hash FROM records WHERE seq > %s AND seq <= %s ORDER BY seq"
        for seq, record_id, body, record_hash in self._stream(statement, [after, _LAST if until is None else until]):
            yield int(seq), record_id, body.encode(), record_hash

    def removed(self) -> Sequence[tuple[int, str, str]]:
        with explained("read"):
            gone = [segment for segment in segments(self._reading()) if segment.removed]
        return [(segment.last, segment.last_hash, segment.tree) for segment in gone]

    def expired(self, before: datetime) -> Sequence[Segment]:
        with explained("read"):
            return expired(self._reading(), before.isoformat(timespec="microseconds"))

    def tree(self) -> TileTree:
        self._must_see_all()
        with explained("read"):
            (size,) = self._reading().execute("SELECT seq FROM head").fetchone() or (0,)
            begin = size // WIDTH * WIDTH
            bodies = self._reading().execute(
                "SELECT body FROM records WHERE seq > %s AND seq <= %s ORDER BY seq", (begin, size)
            )
            tail = [leaf_hash(body.encode()) for (body,) in bodies]
        if missing := size - begin - len(tail):  # retention may have removed the first of them
            kept = hashes_in(self.tile(0, begin // WIDTH) or b"")
            tail = [*kept[: max(missing, 0)], *tail]
        if len(tail) != size % WIDTH:
            raise AuditError("The log has gaps among its last records. Run `arx-pagerduty audit verify`.")
        return TileTree(size, tail, self.tile)

    def tile(self, level: int, number: int) -> bytes | None:
        with explained("read"):
            row = (
                self._reading()
                .execute("SELECT hashes FROM tiles WHERE level = %s AND number = %s", (level, number))
                .fetchone()
            )
        return bytes(row[0]) if row else None

    @property
    def converted(self) -> bool:
        """Return True: tables of another version are refused."""
        return True

    def block_problem(self, block: Block) -> str | None:
        return None  # the server maintains its indexes itself

    def snapshot(self) -> None:
        """Return None: the server's tables hold the state, and `state_problem` compares them."""

    def state_problem(self, state: ChainState, terms: int) -> str | None:
        with explained("read"):
            opened = {intent for (intent,) in self._reading().execute(_OPENED)}
        if opened != state.open.keys():
            return f"{len(opened ^ state.open.keys())} open intents are not those of the chain"
        return self._usage_problem()

    def _usage_problem(self) -> str | None:
        """Describe how the stored uses differ from those in the records; None when they do not."""
        gone = max((last for last, _, _ in self.removed()), default=0)
        with explained("read"):
            if row := self._reading().execute(_TOTALS).fetchone():
                return f"the running totals of the uses of {row[0]} are wrong"
            counted = Counter(
                {(seq, operation): n for seq, operation, n in self._reading().execute(_COUNTED) if seq > gone}
            )
            first = min((seq for seq, _ in counted), default=None)
            since = (datetime.now(UTC) - LONGEST_LIMIT + timedelta(hours=2)).isoformat()
            rows = self._reading().execute(
                "SELECT body FROM records WHERE counted IS NOT NULL AND (seq >= %s OR created_at > %s)", (first, since)
            )
            expected = Counter(
                {
                    (outline.seq, operation): count
                    for (body,) in rows
                    for outline in [outline_of(body.encode())]
                    for (_, _, operation), count in counted_of(outline)
                }
            )
        if counted - expected or (expected - counted and first is None):
            return "the uses that limits count are not those of the chain"
        missing = [seq for seq, _ in expected - counted if first is not None and seq >= first]
        return f"the uses of record {min(missing)} are no longer counted" if missing else None

    def suspensions(self) -> dict[str, str]:
        state = ChainState()
        with explained("read"):
            for (body,) in self._reading().execute(_SWITCHES, (list(SWITCHES),)):
                state.switch(outline_of(body.encode()))
        return state.suspended

    def keeps_policy(self, digest: str) -> bool:
        with explained("read"):
            rows = self._reading().execute(
                "SELECT body FROM records WHERE action_type = 'policy.loaded' "
                "AND readable(body) #>> '{metadata,digest}' = %s ORDER BY seq",
                (plain(digest),),
            )
            metadata = (outline_of(body.encode()).metadata for (body,) in rows)
            return any(one.digest == digest and one.text is not None for one in metadata)

    def key_problem(self) -> str | None:
        with explained("read"):
            (mark,) = self._reading().execute("SELECT key_mark FROM head").fetchone() or (None,)
        return ANOTHER_KEY if mark is not None and mark != self.digest(MARK) else None

    def damage(self, *, indexes: bool = True) -> str | None:
        link = self._reading()
        with explained("read"), link.transaction():
            link.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            if problem := schema_problem(link):
                return f"the database is damaged: {problem}"
            seq, head, last, record_hash = link.execute(_HEAD).fetchone() or (None, None, 0, None)
            if seq != last or (last and head != record_hash):
                return f"the log's end was moved: its head is record {seq}, the last one is {last}"
            if indexes and (differing := link.execute(_DIFFERING).fetchone()):
                return f"the columns of record {differing[0]} differ from the record"
        return None

    def close(self) -> None:
        self._reading().close()

    def _conditions(self, query: Query) -> tuple[LiteralString, list[object]]:
        """Return a query's condition in a form that indexes support, and its values.

        Row-level security checks each record's organisation; the condition also names the role's own organisations, for
        the index. A pattern is replaced by the operations that match it, each found by one index look-up.
        """
        sees_all, restricted, organisations = self._reading().execute(_SCOPE).fetchone() or (True, False, [])
        own = None if sees_all else organisations
        operations: list[str] | None = None
        if query.operation is not None and "*" not in query.operation:
            operations = [plain(query.operation)]
        elif query.operation is not None:
            names = self._reading().execute(_OPERATIONS if sees_all else _OWN_OPERATIONS, None if sees_all else (own,))
            operations = [name for (name,) in names if _matches(query.operation, name)]
        wanted: list[tuple[LiteralString, object]] = [
            ("org_id = ANY (%s)", own),
            ("operation = ANY (%s)", operations),
            ("seq IN (SELECT about(%s))" if restricted else "targets @> ARRAY[%s]::text[]", query.target),
            *_plain_conditions(query),
        ]
        given = [(condition, value) for condition, value in wanted if value is not None]
        values = [value for condition, value in given for _ in range(condition.count("%s"))]
        return " AND ".join(condition for condition, _ in given) or "true", values

    def _must_see_all(self) -> None:
        with explained("read"):
            if self._reading().execute("SELECT sees_all()").fetchone() != (True,):
                raise PartialViewError(
                    "This role sees the records of its own organisations only, so it cannot verify the chain. Nothing "
                    "was sent. Verify as the tables' owner, or as an auditor of '*' (`arx-pagerduty audit grant`)."
                )

    def _stream(self, statement: LiteralString, values: list[object] | None = None) -> Iterator[tuple[str, ...]]:
        """Yield the rows of one state of the log, a thousand at a time, in constant memory."""
        link = self._reading()
        with explained("read"), link.transaction(), link.cursor(name="arx_audit") as cursor:
            cursor.itersize = _AT_ONCE
            yield from cursor.execute(statement, values)


def _plain_conditions(query: Query) -> list[tuple[LiteralString, object]]:
    return [
        ("id = %s", query.id),
        ("(id = %s OR intent = %s)", query.call),
        ("org_id = %s", query.org_id),
        ("agent_id = %s", query.agent_id),
        ("verdict = %s", query.verdict),
        ("status = %s", query.status),
        ("action_type = %s", query.action_type),
        ("approval_id = %s", query.approval),
        ("reviewer = %s", query.reviewer),
        ("created_at >= %s", query.since),
        ("created_at < %s", query.until),
        ("seq > %s", query.after_seq),
        ("seq < %s", query.before_seq),
    ]


def _matches(wildcard: str, name: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in plain(wildcard).split("*")), name, re.DOTALL) is not None


def plain(value: str) -> str:
    """Return a text without NUL, which PostgreSQL's text cannot hold."""
    return value.replace("\0", "\ufffd")
