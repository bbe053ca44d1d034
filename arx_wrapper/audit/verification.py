"""Verify a log: every hash, link and sequence number, the tiles of its tree, and the state derived from it."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field, frozen

from arx_wrapper.audit.blocks import block_of, number_of
from arx_wrapper.audit.chain_state import ChainState, Snapshot
from arx_wrapper.audit.merkle import leaf_hash
from arx_wrapper.audit.record import GENESIS, AuditRecord, Outline, outline_of
from arx_wrapper.audit.store import PartialViewError, Reader
from arx_wrapper.audit.tiles import WIDTH, TileTree, hashes_in, subtree
from arx_wrapper.errors import AuditError

_REMOVED = b'"log.removed"'


@frozen(kw_only=True)
class Verification:
    """The result of verifying a log.

    Attributes:
        ok: True when no problem was found.
        records: The number of records that were verified.
        problem: The first problem and its place; None when there is none.
        since: The number of earlier records, which a checkpoint covers.
    """

    ok: bool
    records: int
    problem: str | None = None
    since: int = 0


def verify(log: Reader, since: int = 0) -> Verification:
    """Verify the chain and the state derived from it, in one pass and constant memory.

    Records that retention removed cannot be verified. The chain then continues from their last hash, and a later record
    must state that they were removed.

    Args:
        since: The number of records to skip, because a checkpoint over them was compared with the tree.
    """
    if problem := log.key_problem():
        return Verification(ok=False, records=0, problem=problem)
    checks = _Checks(log, since)
    try:
        problem = checks.begin() or checks.run()
    except IndexError as error:
        problem = f"the log's Merkle tree is damaged: {error}"
    return Verification(ok=problem is None, records=checks.seen, problem=problem, since=since)


@define(eq=False)
class _Checks:
    """One pass over a log."""

    _log: Reader
    _since: int
    seen: int = 0
    _removed: dict[int, tuple[str, str]] = field(init=False)
    _start: int = field(init=False)
    _head: str = GENESIS
    _state: ChainState = field(factory=ChainState)
    _terms: int = 0
    _kept: Snapshot | None = None
    _tiles: _Tiles | None = None
    _broken: str | None = None

    def begin(self) -> str | None:
        log = self._log
        self._removed = {last: (last_hash, tree) for last, last_hash, tree in log.removed()}
        self._start = max(self._removed, default=0)
        if self._removed:
            self._head = self._removed[self._start][0]
        if log.converted:
            try:
                self._tiles = _Tiles(log, max(self._start, self._since))
            except PartialViewError:
                raise
            except (AuditError, IndexError) as error:  # verifying the records may report more exactly what is missing
                self._broken = f"the log's Merkle tree is damaged: {error}"
        try:
            self._kept = log.snapshot()
        except AuditError as error:
            self._broken = self._broken or str(error)
        if self._since <= self._start:
            return self._tiles.problem_at(self._start, self._removed) if self._tiles and self._start else None
        self._removed, self._start = {}, self._since
        for seq, _, body, record_hash in log.rows(after=self._since - 1):
            if seq != self._since or log.digest(body) != record_hash:
                break
            self._head = record_hash
            return None
        return f"record {self._since}, the last of the checkpoint, is missing or was changed"

    def run(self) -> str | None:
        expected, digest, state, tiles = self._start, self._log.digest, self._state, self._tiles
        block, leaves = list[Outline](), list[bytes]()
        for seq, record_id, body, record_hash in self._log.rows(after=self._start):
            expected += 1
            if seq != expected:
                return f"record {expected} is missing"
            if digest(body) != record_hash:
                return f"record {seq} was changed"
            outline = outline_of(body)
            if outline.seq != seq or outline.id != record_id or outline.prev_hash != self._head:
                return f"record {seq} has the wrong sequence number or link"
            self._head, self.seen = record_hash, self.seen + 1
            state.apply(outline)
            if self._kept is not None and seq == self._kept.seq and (problem := self._state_problem(self._kept)):
                return problem
            if self._removed and _REMOVED in body:
                self._removed = _without(self._removed, AuditRecord.parse(body, record_hash))
            if tiles is not None:
                block.append(outline)
                leaves.append(leaf_hash(body))
                if not seq % WIDTH:
                    if problem := self._complete(number_of(seq), leaves, block):
                        return problem
                    block, leaves = [], []
        if self._removed:
            return f"up to {max(self._removed)} records are missing, and no record states their removal"
        if tiles is not None:
            tiles.add(leaves)
        return self._ended(expected)

    def _state_problem(self, kept: Snapshot) -> str | None:
        """Compare the stored state with the state derived from the records up to the same record."""
        expected = self._state.snapshot(kept.seq, self._head, kept.block)
        if kept.head == self._head and (self._since or kept == expected):  # not all records are read: of `since`
            return None
        return f"the stored state is not the one that follows from the records up to {kept.seq}"

    def _complete(self, number: int, leaves: list[bytes], outlines: list[Outline]) -> str | None:
        """Compare the tiles and the index of a block with its records."""
        assert self._tiles is not None, "only a log with tiles is read in blocks"  # noqa: S101
        self._tiles.add(leaves)
        if problem := self._tiles.full(number):
            return problem
        if len(outlines) < WIDTH:  # retention removed the other records, and the block's index
            return None
        block = block_of(number, outlines)
        self._terms += len(block.terms)
        return self._log.block_problem(block)

    def _ended(self, last: int) -> str | None:
        if self._broken:
            return self._broken
        if self._kept is not None and not last // WIDTH * WIDTH <= self._kept.seq <= last:
            return f"the stored state is the one after record {self._kept.seq}, but record {last} is the last one"
        if self._tiles is not None and (problem := self._tiles.ended()):
            return problem
        return None if self._since else self._log.state_problem(self._state, self._terms)


class _Tiles:
    """The tiles of a tree, computed again from the records and compared with the stored ones."""

    def __init__(self, log: Reader, start: int) -> None:
        self._log, self._size = log, start
        self._tree: TileTree = log.tree()
        self._rows: list[list[bytes]] = []
        level = 0
        while start >> 8 * level:
            count = start >> 8 * level & 255
            self._rows.append(hashes_in(self._stored(level, start >> 8 * level + 8))[:count] if count else [])
            level += 1

    def problem_at(self, size: int, removed: dict[int, tuple[str, str]]) -> str | None:
        """Describe how the tree over removed records differs from the record of their removal; None when not."""
        recorded = removed[size][1].split()
        if [node.hex() for node in self._tree.frontier(size).nodes] != recorded:
            return f"the tree over the {size} removed records differs from the one recorded at their removal"
        level = 0
        while size >> 8 * level + 8:  # the frontier above holds only the roots of full tiles
            for number in range(size >> 8 * level + 8):
                row = hashes_in(self._stored(level, number)) if number << 8 * level + 8 >= self._tree.base else []
                if row and subtree(row) != self._tree.node(8 * level + 8, number):
                    return (
                        f"tile {level}/{number}, over removed records, differs from the one recorded at their removal"
                    )
            level += 1
        return None

    def add(self, leaves: list[bytes]) -> None:
        if not self._rows:
            self._rows.append([])
        self._rows[0] += leaves
        self._size += len(leaves)

    def full(self, number: int) -> str | None:
        """Compare the tiles that the 256th record of a block completes."""
        level = 0
        while len(self._rows[level]) == WIDTH:
            row, self._rows[level] = self._rows[level], []
            if self._stored(level, number) != b"".join(row):
                return f"tile {level}/{number} of the log's Merkle tree is not that of its records"
            known = number << 8 * level + 8 >= self._tree.base
            root = subtree(row) if known else self._tree.node(8 * level + 8, number)
            level, number = level + 1, number >> 8
            if len(self._rows) == level:
                self._rows.append([])
            self._rows[level].append(root)
        return None

    def ended(self) -> str | None:
        """Compare the tiles of the higher levels that are not full yet."""
        for level, row in enumerate(self._rows):
            number = self._size >> 8 * level + 8
            if level and row and self._stored(level, number) != b"".join(row):
                return f"tile {level}/{number} of the log's Merkle tree is not that of its records"
        return None

    def _stored(self, level: int, number: int) -> bytes:
        if level == 0 and number == self._tree.size // WIDTH:
            return b"".join(self._tree.tail)
        found = self._log.tile(level, number)
        if found is None:
            raise IndexError(f"tile {level}/{number} is missing")
        return found


def compared(log: Reader, checkpoints: Sequence[tuple[int, bytes]]) -> str | None:
    """Describe how a log's tree differs from checkpoints, each a size and a root; None when it extends all of them."""
    wanted: dict[int, bytes] = {}
    for size, root in checkpoints:
        if wanted.setdefault(size, root) != root:
            return f"two checkpoints over {size} records contradict each other: the log was forked"
    tree = log.tree()
    for size, root in sorted(wanted.items()):
        if size > tree.size:
            return f"it has {tree.size} records, the checkpoint {size}: its end was cut off, or it is an old copy"
        if size < tree.base:
            return (
                f"records up to {tree.base} were removed by an earlier version, so it cannot be compared with a "
                f"checkpoint over {size}. To start again, use another store"
            )
        try:
            same = tree.root(size) == root
        except IndexError as error:
            raise AuditError(f"The log's Merkle tree is damaged: {error}. Run `arx-pagerduty audit verify`.") from None
        if not same:
            return f"its first {size} records are not those of the checkpoint: it was rewritten, or forked"
    return None


def _without(removed: dict[int, tuple[str, str]], record: AuditRecord) -> dict[int, tuple[str, str]]:
    """Return the removed segments that no record accounts for, after a record of a removal.

    That record also accounts for the segments before its own: it may hold the records of their removal, and its tree
    is over all of them.
    """
    if record.action_type != "log.removed":
        return removed
    metadata = record.metadata
    if removed.get(metadata.get("last", 0)) != (metadata["last_hash"], metadata["tree"]):
        return removed
    return {last: kept for last, kept in removed.items() if last > metadata["last"]}
