"""Define the protocol of a database that holds a log: write a batch in one transaction, and read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from attrs import define, field, frozen

from arx_wrapper.audit.record import AuditRecord, Entry
from arx_wrapper.errors import AuditError
from arx_wrapper.model import Limit

if TYPE_CHECKING:
    from arx_wrapper.audit.blocks import Block
    from arx_wrapper.audit.chain_state import ChainState, Snapshot
    from arx_wrapper.audit.tiles import TileTree


class Refused(Exception):  # noqa: N818 - a verdict, not a fault
    """The log refuses this intent: a limit is used up, or the agent is suspended. Nothing was written.

    Attributes:
        reason: The reason in one sentence, for people.
        limit: The limit that is used up; None for a suspension.
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
    """An entry that waits to be written.

    Attributes:
        entry: The entry to be recorded.
        usage: The uses that it counts as: operation and number.
        limits: The limits that it must not exceed.
        enforce_suspension: True when it is refused while its agent is suspended.
        cancelled: True once its caller no longer waits; then it is not written.
        outcome: The stored record, or the error.
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
        call: An intent's id; selects the intent and the records that refer to it.
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
    """A sealed run of records, moved out of the live file.

    Attributes:
        first, last: Their sequence numbers.
        last_hash: The last one's hash, which the next record holds.
        newest: The time of the last one.
        file: The file's name, in the log's folder.
        tree: The Merkle tree over all records up to its end: the roots of its perfect subtrees, as hex.
        removed: 1 when retention has removed it, else 0.
    """

    first: int
    last: int
    last_hash: str
    newest: str
    file: str
    tree: str
    removed: int


class Reader(Protocol):
    """A connection that reads one log. Used from one thread at a time.

    Attributes:
        digest: HMAC-SHA256 with the log's key, as hex.
        gapless: True when all records are visible, so that a missing sequence number means a removed record. False when
            a database role may see only some of them.
    """

    digest: Callable[[bytes], str]
    gapless: bool

    def hold(self) -> None:
        """Read the log as it is now until `release()`, whatever is written meanwhile."""
        ...

    def release(self) -> None:
        """Stop reading the held state, so that an idle reader does not keep the database from cleaning up."""
        ...

    def size(self) -> int:
        """Return the last record's sequence number."""
        ...

    def select(self, query: Query) -> Iterator[AuditRecord]: ...

    def bodies(self, since: str | None = None) -> Iterator[bytes]:
        """Yield the stored records' bodies, oldest first; with `since`, those of blocks that reach beyond that time."""
        ...

    def rows(self, after: int = 0, until: int | None = None) -> Iterator[tuple[int, str, bytes, str]]:
        """Yield the stored records after a sequence number, up to another, as they are: seq, id, body and hash."""
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
        """Return True for a log that has tiles and an index; False for one that an earlier version wrote."""
        ...

    def block_problem(self, block: Block) -> str | None:
        """Describe the fault in the index of 256 records; None when there is none."""
        ...

    def snapshot(self) -> Snapshot | None:
        """Return the state that is stored beside the records; None when the database stores none.

        Raises:
            AuditError: it is missing, or the log's key did not write it.
        """
        ...

    def state_problem(self, state: ChainState, terms: int) -> str | None:
        """Describe how the database's state differs from the chain's; None when it does not.

        Args:
            state: The open intents and suspensions that follow from the records.
            terms: The number of entries that the index must have.
        """
        ...

    def key_problem(self) -> str | None:
        """Return a message when the key is not the log's; None when it is, or when the log has no mark of its key."""
        ...

    def damage(self, *, indexes: bool = True) -> str | None:
        """Describe the fault in the database's tables, triggers or columns; None when there is none.

        Args:
            indexes: False to skip the checks that read every record.
        """
        ...

    def suspensions(self) -> Mapping[str, str]:
        """Return the suspended agents, each with the reason."""
        ...

    def keeps_policy(self, digest: str) -> bool:
        """Return True when a record holds the text of a policy."""
        ...

    def close(self) -> None: ...


class Store(Reader, Protocol):
    """A database that holds one log. Used from one thread."""

    def leave(self) -> None:
        """Abandon the connection in the child of a fork, without disturbing the parent's."""
        ...

    def write(self, batch: Sequence[Pending]) -> None:
        """Write a batch in one durable transaction and set each `outcome`; raise when nothing could be written."""
        ...

    def reader(self) -> Reader | None:
        """Return a connection with which another thread can read; None when there can be only one connection."""
        ...

    def rotate(self, *, by: str, org_id: str) -> Segment | None:
        """Move finished records, those before the oldest open intent, into a sealed segment."""
        ...

    def retain(self, before: datetime, *, by: str, org_id: str) -> Sequence[Segment]:
        """Remove segments that hold only records from before a time."""
        ...

    def suspend(self, entry: Entry) -> None:
        """Record that an agent is suspended, or resumed."""
        ...

    def suspended(self, agent_id: str) -> str | None:
        """Return the reason why an agent is suspended; None when it is not."""
        ...
