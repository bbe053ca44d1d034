"""What the log's writer needs of a database: one transaction for a batch, and reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from attrs import define, field, frozen

from arx_wrapper.audit.merkle import Tree
from arx_wrapper.audit.record import AuditRecord, Entry
from arx_wrapper.errors import AuditError
from arx_wrapper.model import Limit


class Segment(NamedTuple):
    """A run of records that are not in the live file any more.

    Attributes:
        first, last: Their places.
        last_hash: The last one's hash, which the next record holds.
        newest: When the last one was written.
        file: The file's name, beside the log.
        tree: The Merkle tree over everything up to its end: the roots of its perfect subtrees, as hex.
        removed: Whether retention has taken it away.
    """

    first: int
    last: int
    last_hash: str
    newest: str
    file: str
    tree: str
    removed: int

    def grown(self) -> Tree:
        """The tree over all records up to its end."""
        return Tree(self.last, [bytes.fromhex(node) for node in self.tree.split()])


class Refused(Exception):  # noqa: N818 - a verdict, not a fault
    """The log does not take this intent: a limit is used up, or the agent is suspended. Nothing was written.

    Attributes:
        reason: For people, one sentence.
        limit: The limit, when it is one.
    """

    def __init__(self, reason: str, limit: Limit | None = None) -> None:
        super().__init__(reason)
        self.reason, self.limit = reason, limit


class PartialViewError(AuditError):
    """Whoever reads may see a part of the log only, and cannot verify the chain. Nothing is wrong with either."""


class Written(NamedTuple):
    """A record as it is stored: canonical JSON, and the hash of it with the log's key."""

    seq: int
    id: str
    body: bytes
    hash: str

    def record(self) -> AuditRecord:
        return AuditRecord.parse(self.body, self.hash)


@define(eq=False)
class Pending:
    """An entry on its way into the log.

    Attributes:
        entry: What is to be recorded.
        usage: What it counts as: operation and number.
        limits: The limits that it must keep to.
        checked: Whether its agent must not be suspended.
        abandoned: Whether its caller has given up; then it is not written any more.
    """

    entry: Entry
    usage: Sequence[tuple[str, int]] = ()
    limits: Sequence[Limit] = ()
    checked: bool = False
    abandoned: bool = False
    outcome: Written | AuditError | Refused | None = field(default=None, init=False)


@frozen(kw_only=True)
class Query:
    """Which records; times are ISO 8601 in UTC, `operation` may hold `*`, `call` is an intent's id."""

    id: str | None = None
    call: str | None = None
    agent_id: str | None = None
    operation: str | None = None
    verdict: str | None = None
    status: str | None = None
    action_type: str | None = None
    since: str | None = None
    until: str | None = None
    after_seq: int | None = None
    limit: int | None = None
    newest_first: bool = False


class Reader(Protocol):
    """A connection that reads one log. Used from one thread at a time.

    Attributes:
        digest: HMAC-SHA256 with the log's key, as hex.
    """

    digest: Callable[[bytes], str]

    def select(self, query: Query) -> Iterator[AuditRecord]: ...

    def rows(self) -> Iterator[tuple[int, str, bytes, str]]:
        """Every record by seq as it is stored, for verification: seq, id, body and hash."""
        ...

    def removed(self) -> Sequence[tuple[int, str, str]]:
        """What retention took away: last place, last hash and tree of each segment that is gone, oldest first."""
        ...

    def before(self) -> Tree:
        """The tree over what retention took away, to go on from; empty when everything is there."""
        ...

    def damage(self) -> str | None:
        """What is wrong with the database around its records: indexes, pages. None when nothing is."""
        ...

    def close(self) -> None: ...


class Store(Reader, Protocol):
    """A database that holds one log. Used from one thread."""

    def write(self, batch: Sequence[Pending]) -> None:
        """Write a batch in one durable transaction and set each `outcome`; raise when nothing could be written."""
        ...

    def reader(self) -> Reader | None:
        """A connection for another thread to read by, while this one writes; None when there can be but one."""
        ...

    def rotate(self, *, by: str, org_id: str) -> Segment | None:
        """Move what is settled into a sealed segment."""
        ...

    def retain(self, before: datetime, *, by: str, org_id: str) -> Sequence[Segment]:
        """Remove segments that hold only records from before a time."""
        ...

    def suspend(self, agent_id: str, reason: str | None, entry: Entry) -> None:
        """Suspend an agent, or resume it when there is no reason, and record that: both or neither."""
        ...

    def suspended(self, agent_id: str) -> str | None:
        """Why an agent is suspended; None when it is not."""
        ...
