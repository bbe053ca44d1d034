"""Store the Merkle tree over the log's records as tiles of 256 hashes (C2SP tlog-tiles), written as the log grows.

A tile of level 0 holds 256 leaf hashes; one of level L+1 holds the roots of 256 tiles of level L. Computing a root, an
inclusion proof or a consistency proof (RFC 6962, section 2.1) reads one tile for each level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from attrs import define, field

from arx_wrapper.audit.merkle import EMPTY_ROOT, Tree, node_hash

WIDTH: Final = 256
_HEIGHT: Final = 8
HASH: Final = 32
"""Bytes of a hash."""


class Tile(NamedTuple):
    """One tile: its level, its number in the level, and its hashes in a row."""

    level: int
    number: int
    hashes: bytes


@define
class TileTree:
    """A tree, read from tiles.

    Attributes:
        size: The number of leaves.
        tail: The leaf hashes after the last full tile of level 0.
        known: Roots of perfect subtrees (height, index) over leaves whose hashes are unknown, in a log whose first
            records an earlier version removed without keeping tiles. Empty for all others.
        base: The number of those leaves.
    """

    size: int
    tail: Sequence[bytes]
    _fetch: Callable[[int, int], bytes | None]
    known: Mapping[tuple[int, int], bytes] = field(factory=dict)
    base: int = 0
    _read: dict[tuple[int, int], bytes] = field(factory=dict, init=False)

    def root(self, size: int | None = None) -> bytes:
        """Return the root over the first `size` leaves; by default over all."""
        size = self.size if size is None else size
        return self.hash(0, size) if size else EMPTY_ROOT

    def frontier(self, size: int) -> Tree:
        """Return the tree over the first `size` leaves in the form that can grow."""
        nodes, begin = [], 0
        for height in range(size.bit_length() - 1, -1, -1):
            if size >> height & 1:
                nodes.append(self.node(height, begin >> height))
                begin += 1 << height
        return Tree(size, nodes)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the inclusion path from a leaf to the root over the first `size` leaves, from the leaf upward.

        Raises:
            IndexError: there is no such leaf.
        """
        if not self.base <= index < size <= self.size:
            raise IndexError(f"there is no leaf {index} among {size}")
        path, low, high = [], 0, size
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                path.append(self.hash(middle, high))
                high = middle
            else:
                path.append(self.hash(low, middle))
                low = middle
        return path[::-1]

    def consistency(self, old: int, size: int) -> list[bytes]:
        """Return the proof that the tree over `size` leaves extends the tree over `old` leaves (RFC 6962, 2.1.2).

        Raises:
            IndexError: the tree has fewer leaves.
        """
        if not 0 < old <= size <= self.size:
            raise IndexError(f"there is no proof from {old} to {size} leaves")
        path, low, high, whole = [], 0, size, True
        while old < high:
            middle = low + _split(high - low)
            if old <= middle:
                path.append(self.hash(middle, high))
                high = middle
            else:
                path.append(self.hash(low, middle))
                low, whole = middle, False
        if not whole:
            path.append(self.hash(low, high))
        return path[::-1]

    def hash(self, low: int, high: int) -> bytes:
        """Return the hash over the leaves from `low` up to, not including, `high`."""
        width = high - low
        if width & (width - 1) == 0 and low % width == 0:
            return self.node(width.bit_length() - 1, low // width)
        middle = low + _split(width)
        return node_hash(self.hash(low, middle), self.hash(middle, high))

    def node(self, height: int, index: int) -> bytes:
        """Return the root of a perfect subtree, by its height and its index from the left."""
        if (height, index) in self.known:
            return self.known[height, index]
        if index << height < self.base:
            if not height:
                raise IndexError(f"leaf {index} is not known")
            return node_hash(self.node(height - 1, 2 * index), self.node(height - 1, 2 * index + 1))
        level, rest = divmod(height, _HEIGHT)
        first, count = index << rest, 1 << rest
        hashes = self._tile(level, first // WIDTH)
        begin = first % WIDTH * HASH
        found = hashes_in(hashes[begin : begin + count * HASH])
        if len(found) != count:
            raise IndexError(f"tile {level}/{first // WIDTH} is too short")
        return subtree(found)

    def _tile(self, level: int, number: int) -> bytes:
        if (level, number) not in self._read:
            if level == 0 and number == self.size // WIDTH:
                found: bytes | None = b"".join(self.tail)
            else:
                found = self._fetch(level, number)
            if found is None:
                raise IndexError(f"tile {level}/{number} is missing")
            self._read[level, number] = found
        return self._read[level, number]


def hashes_in(row: bytes) -> list[bytes]:
    """Return the hashes of a tile."""
    return [row[place : place + HASH] for place in range(0, len(row), HASH)]


def subtree(nodes: Sequence[bytes]) -> bytes:
    """Return the root over a power of two of nodes."""
    row = list(nodes)
    while len(row) > 1:
        row = [node_hash(row[place], row[place + 1]) for place in range(0, len(row), 2)]
    return row[0]


def grown(
    number: int,
    hashes: bytes,
    root: bytes,
    fetch: Callable[[int, int], bytes | None],
    root_over: Callable[[int, int, bytes], bytes] = lambda level, number, hashes: subtree(hashes_in(hashes)),
) -> Iterator[Tile]:
    """Yield the tiles that change when tile `number` of level 0 is full.

    Args:
        hashes: Its 256 leaf hashes.
        root: The root over them.
        fetch: Returns a tile of a higher level as it is now; None when it does not exist yet.
        root_over: Returns the root over a full tile, also for tiles over leaves with unknown hashes.
    """
    level = 0
    yield Tile(level, number, hashes)
    while True:
        level, number, place = level + 1, number // WIDTH, number % WIDTH
        hashes = (fetch(level, number) or b"")[: place * HASH] + root
        if len(hashes) != (place + 1) * HASH:
            raise IndexError(f"tile {level}/{number} is too short")
        yield Tile(level, number, hashes)
        if place + 1 < WIDTH:
            return
        root = root_over(level, number, hashes)


def consistent(old: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Check a consistency proof (RFC 9162, section 2.1.4.2)."""
    if not 0 < old <= size:
        return False
    if old == size:
        return not path and old_root == root
    steps = list(path)
    if old & (old - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        return False
    fn, last = old - 1, size - 1
    while fn & 1:
        fn, last = fn >> 1, last >> 1
    left = right = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if fn & 1 or fn == last:
            left, right = node_hash(step, left), node_hash(step, right)
            while not fn & 1 and fn:
                fn, last = fn >> 1, last >> 1
        else:
            right = node_hash(right, step)
        fn, last = fn >> 1, last >> 1
    return left == old_root and right == root and last == 0


def _split(width: int) -> int:
    """Return the largest power of two below a width."""
    return 1 << (width - 1).bit_length() - 1
