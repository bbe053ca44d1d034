"""Build the Merkle tree over the log's records (RFC 6962, section 2.1) leaf by leaf, without storing the leaves.

A leaf is a record's stored body: all of the record except its own keyed hash. So checking a proof does not need the
log's key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from attrs import define, field

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@define
class Tree:
    """A growing tree: its size, and the roots of its perfect subtrees from left to right.

    Attributes:
        size: The number of leaves.
        nodes: One root for each bit that is set in `size`. They suffice to add leaves and to compute the root.
    """

    size: int = 0
    nodes: list[bytes] = field(factory=list)

    def add(self, data: bytes) -> None:
        """Add a leaf."""
        self.add_hash(leaf_hash(data))

    def add_hash(self, node: bytes) -> None:
        """Add a leaf whose hash is known."""
        merging = self.size
        while merging & 1:
            node = node_hash(self.nodes.pop(), node)
            merging >>= 1
        self.nodes.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Return the root over all leaves; without leaves, the hash of empty data."""
        if not self.nodes:
            return EMPTY_ROOT
        root = self.nodes[-1]
        for left in reversed(self.nodes[:-1]):
            root = node_hash(left, root)
        return root


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Compute the root from a leaf and an inclusion path (RFC 9162, section 2.1.3.2); None when its length is wrong."""
    if not 0 <= index < size:
        return None
    fn, last, node = index, size - 1, leaf_hash(leaf)
    for sibling in path:
        if last == 0:
            return None
        if fn & 1 or fn == last:
            node = node_hash(sibling, node)
            while not fn & 1 and fn:
                fn, last = fn >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        fn, last = fn >> 1, last >> 1
    return node if last == 0 else None
