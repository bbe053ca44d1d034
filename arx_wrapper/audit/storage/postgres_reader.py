"""Reading a log in PostgreSQL: records by what they say, and all of them as they are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import LiteralString

from arx_wrapper.audit.merkle import Tree
from arx_wrapper.audit.record import AuditRecord
from arx_wrapper.audit.storage.postgres_connection import Link, explained
from arx_wrapper.audit.store import PartialViewError, Query

_AT_ONCE = 1_000
# The triggers and columns that hold the log together, and whether they still say what they said when they were made.
_LOOSE = """
SELECT 'the trigger ' || wanted.name || ' is missing or switched off'
FROM (VALUES ('records_never_change'), ('records_are_read'), ('records_follow_head')) AS wanted(name)
WHERE NOT EXISTS (
    SELECT FROM pg_trigger WHERE tgrelid = 'records'::regclass AND tgname = wanted.name AND tgenabled = 'A'
)
"""
_HEAD = """
SELECT head.seq, head.hash, (SELECT coalesce(max(seq), 0) FROM records),
       (SELECT hash FROM records WHERE records.seq = head.seq) FROM head
"""
_STRAYED = """
SELECT seq FROM records, CAST(replace(body, '\\u0000', '\\ufffd') AS json) AS said
WHERE json_build_array(created_at, prev_hash, org_id, agent_id, action_type, operation, verdict, status, intent)::text
    <> json_build_array(said ->> 'created_at', said ->> 'prev_hash', said ->> 'org_id', said ->> 'agent_id',
        said ->> 'action_type', said ->> 'operation', said ->> 'policy_verdict', said ->> 'status',
        said #>> '{metadata,intent}')::text LIMIT 1
"""


class PostgresReader:
    """A connection to a log, which sees it as it was when it began to read."""

    def __init__(self, link: Callable[[], Link], digest: Callable[[bytes], str]) -> None:
        self._reading, self.digest = link, digest

    def select(self, query: Query) -> Iterator[AuditRecord]:
        where, values = _conditions(query)
        order: LiteralString = "DESC" if query.newest_first else "ASC"
        statement: LiteralString = f"SELECT body, hash FROM records WHERE {where} ORDER BY seq {order} LIMIT %s"  # noqa: S608 - ours
        for body, record_hash in self._stream(statement, [*values, query.limit]):
            yield AuditRecord.parse(body.encode(), record_hash)

    def rows(self) -> Iterator[tuple[int, str, bytes, str]]:
        with explained("read"):
            if self._reading().execute("SELECT sees_all()").fetchone() != (True,):
                raise PartialViewError(
                    "This role sees the records of its own organisations only, so it cannot verify the chain. Nothing "
                    "was sent. Verify as the tables' owner, or as an auditor of '*' (`arx-pagerduty audit admit`)."
                )
        for seq, record_id, body, record_hash in self._stream("SELECT seq, id, body, hash FROM records ORDER BY seq"):
            yield int(seq), record_id, body.encode(), record_hash

    def before(self) -> Tree:
        return Tree()

    def removed(self) -> Sequence[tuple[int, str, str]]:
        return ()

    def damage(self) -> str | None:
        link = self._reading()
        with explained("read"), link.transaction():
            link.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            if loose := link.execute(_LOOSE).fetchone():
                return f"the database is damaged: {loose[0]}"
            seq, head, last, record_hash = link.execute(_HEAD).fetchone() or (None, None, 0, None)
            if seq != last or (last and head != record_hash):
                return f"the log's end was moved: its head is record {seq}, the last one is {last}"
            if strayed := link.execute(_STRAYED).fetchone():
                return f"the columns of record {strayed[0]} do not say what the record says"
        return None

    def close(self) -> None:
        self._reading().close()

    def _stream(self, statement: LiteralString, values: list[object] | None = None) -> Iterator[tuple[str, ...]]:
        """Rows as they were when it began, a thousand at a time: memory stays flat."""
        link = self._reading()
        with explained("read"), link.transaction(), link.cursor(name="arx_audit") as cursor:
            cursor.itersize = _AT_ONCE
            yield from cursor.execute(statement, values)


def _conditions(query: Query) -> tuple[LiteralString, list[object]]:
    wanted: list[tuple[LiteralString, object]] = [
        ("id = %s", query.id),
        ("%s IN (id, intent)", query.call),
        ("agent_id = %s", query.agent_id),
        ("operation LIKE %s", _pattern(query.operation)),
        ("verdict = %s", query.verdict),
        ("status = %s", query.status),
        ("action_type = %s", query.action_type),
        ("created_at >= %s", query.since),
        ("created_at < %s", query.until),
        ("seq > %s", query.after_seq),
    ]
    given = [(condition, value) for condition, value in wanted if value is not None]
    return " AND ".join(condition for condition, _ in given) or "true", [value for _, value in given]


def _pattern(wildcard: str | None) -> str | None:
    """Policies' wildcard is `*` alone; SQL's are others."""
    if wildcard is None:
        return None
    escaped = wildcard.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")
