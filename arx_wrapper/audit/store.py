"""The protocol of a database that holds a log: one transaction for a batch, and reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from attrs import define, field, frozen

from arx_wrapper.audit.merkle import Tree
from arx_wrapper.audit.record import AuditRecord, Entry
from arx_wrapper.errors import AuditError
from arx_wrapper.model import Limit

if TYPE_CHECKING:
    from arx_wrapper.audit.blocks import Block
    from arx_wrapper.audit.state import ChainState, Snapshot
    from arx_wrapper.audit.tiles import TileTree


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
    """This database role may read only some organisations' records, so it cannot verify the chain.

    The log is not damaged.
    """


class Written(NamedTuple):
    """A stored record: its canonical JSON, and the hash of it with the log's key."""

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
        entry: The entry to be recorded.
        usage: The uses that it counts as: operation and number.
        limits: The limits that it must keep to.
        enforce_suspension: True when it is refused while its agent is suspended.
        cancelled: True once its caller has given up; then it is not written any more.
        outcome: The record, or why there is none.
    """

    entry: Entry
    usage: Sequence[tuple[str, int]] = ()
    limits: Sequence[Limit] = ()
    enforce_suspension: bool = False
    cancelled: bool = False
    outcome: Written | AuditError | Refused | None = field(default=None, init=False)


@frozen(kw_only=True)
class Query:
    """A selection of records.

    Attributes:
        call: An intent's id: the intent and the records that answer it.
        operation: A name, or a pattern with `*`.
        target: An id that the call named.
        reviewer, approval: A reviewer's name, and an approval's id.
        since, until: ISO 8601 in UTC.
    """

    id: str | None = None
    call: str | None = None
    org_id: str | None = None
    agent_id: str | None = None
    operation: str | None = None
    verdict: str | None = None
    status: str | None = None
    action_type: str | None = None
    target: str | None = None
    reviewer: str | None = None
    approval: str | None = None
    since: str | None = None
    until: str | None = None
    after_seq: int | None = None
    before_seq: int | None = None
    limit: int | None = None
    newest_first: bool = False


class Segment(NamedTuple):
    """A run of records that are not in the live file any more.

    Attributes:
        first, last: Their sequence numbers.
        last_hash: The last one's hash, which the next record holds.
        newest: The time of the last one.
        file: The file's name, beside the log.
        tree: The Merkle tree over everything up to its end: the roots of its perfect subtrees, as hex.
        removed: 1 when retention has removed it, else 0.
    """

    first: int
    last: int
    last_hash: str
    newest: str
    file: str
    tree: str
    removed: int

    def tree_after(self) -> Tree:
        """Return the tree over all records up to its end."""
        return Tree(self.last, [bytes.fromhex(node) for node in self.tree.split()])


class Reader(Protocol):
    """A connection that reads one log. Used from one thread at a time.

    Attributes:
        digest: HMAC-SHA256 with the log's key, as hex.
    """

    digest: Callable[[bytes], str]

    def hold(self) -> None:
        """Go on seeing the log as it is now, until `release()`."""
        ...

    def release(self) -> None:
        """Let go of the log's state: a reader that waits must not keep the database from clearing up."""
        ...

    def size(self) -> int:
        """Return the last record's sequence number."""
        ...

    def select(self, query: Query) -> Iterator[AuditRecord]: ...

    def bodies(self, since: str | None = None) -> Iterator[bytes]:
        """Yield the stored records' bodies, oldest first; with `since`, those of blocks that reach beyond that time."""
        ...

    def rows(self, after: int = 0) -> Iterator[tuple[int, str, bytes, str]]:
        """Yield the stored records after a sequence number, for verification: seq, id, body and hash."""
        ...

    def removed(self) -> Sequence[tuple[int, str, str]]:
        """Return last sequence number, last hash and tree of each segment that retention removed, oldest first."""
        ...

    def expired(self, before: datetime) -> Sequence[Segment]:
        """Return the sealed segments that hold only records from before a time."""
        ...

    def tree(self) -> TileTree:
        """Return the Merkle tree over all records, read from its tiles.

        Raises:
            AuditError: the log has none yet; it must be converted.
        """
        ...

    def tile(self, level: int, number: int) -> bytes | None:
        """Return the hashes of a stored tile; None when there is none."""
        ...

    @property
    def converted(self) -> bool:
        """True for a log that has tiles and an index; False for one that an earlier version wrote."""
        ...

    def block_problem(self, block: Block) -> str | None:
        """Return what is wrong with the index of 256 records; None when nothing is."""
        ...

    def snapshot(self) -> Snapshot | None:
        """Return the state that is stored beside the records; None where a database stores none.

        Raises:
            AuditError: it is missing, or the log's key did not write it.
        """
        ...

    def state_problem(self, state: ChainState, terms: int) -> str | None:
        """Return what the database says that the chain does not; None when they agree.

        Args:
            state: The open intents and suspensions that follow from the records.
            terms: The number of entries that the index must have.
        """
        ...

    def key_problem(self) -> str | None:
        """Return that the key is not the log's; None when it is, or the log has no mark of its key."""
        ...

    def damage(self, *, indexes: bool = True) -> str | None:
        """Return what is wrong with the database around its records: tables, triggers, columns. None for nothing.

        Args:
            indexes: False to leave out the checks that read every record.
        """
        ...

    def suspensions(self) -> Mapping[str, str]:
        """Return the suspended agents, each with the reason."""
        ...

    def keeps_policy(self, digest: str) -> bool:
        """Return whether a record holds the text of a policy."""
        ...

    def close(self) -> None: ...


class Store(Reader, Protocol):
    """A database that holds one log. Used from one thread."""

    def leave(self) -> None:
        """Let go of a connection in the child of a fork, so that the parent's goes on undisturbed."""
        ...

    def write(self, batch: Sequence[Pending]) -> None:
        """Write a batch in one durable transaction and set each `outcome`; raise when nothing could be written."""
        ...

    def reader(self) -> Reader | None:
        """Return a connection that another thread reads by while this one writes; None when there can be but one."""
        ...

    def rotate(self, *, by: str, org_id: str) -> Segment | None:
        """Move settled records into a sealed segment."""
        ...

    def retain(self, before: datetime, *, by: str, org_id: str) -> Sequence[Segment]:
        """Remove segments that hold only records from before a time."""
        ...

    def suspend(self, entry: Entry) -> None:
        """Record that an agent is suspended, or resumed."""
        ...

    def suspended(self, agent_id: str) -> str | None:
        """Return why an agent is suspended; None when it is not."""
        ...
