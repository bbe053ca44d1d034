"""A Merkle tree over the log's records, as RFC 6962 (section 2.1) makes it; leaves come one by one and are not kept.

A leaf is a record's stored body, which holds the hash of the record before it and everything else but its own keyed
hash: whoever checks a proof needs no key of the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from attrs import define, field


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@define
class Tree:
    """A tree that grows: its size, and the roots of its perfect subtrees from left to right.

    Attributes:
        size: How many leaves it has.
        nodes: As many roots as `size` has bits that are set; enough to go on, and to tell the root.
    """

    size: int = 0
    nodes: list[bytes] = field(factory=list)

    def add(self, data: bytes) -> None:
        """Add a leaf."""
        merging, node = self.size, leaf_hash(data)
        while merging & 1:
            node = node_hash(self.nodes.pop(), node)
            merging >>= 1
        self.nodes.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves; for none, the hash of nothing."""
        if not self.nodes:
            return hashlib.sha256(b"").digest()
        root = self.nodes[-1]
        for left in reversed(self.nodes[:-1]):
            root = node_hash(left, root)
        return root


def inclusion_path(leaves: Iterable[bytes], index: int, start: Tree | None = None) -> tuple[Tree, list[bytes]]:
    """Grow a tree and collect the hashes that lead from one leaf to its root.

    Args:
        leaves: The data of the leaves, in order, after those that `start` has.
        index: The leaf, counted from 0.
        start: A tree to go on from.

    Returns:
        The tree over all leaves, and the path, from the leaf upward.

    Raises:
        IndexError: the leaf is not among those that were given.
    """
    tree = Tree(start.size, list(start.nodes)) if start else Tree()
    if index < tree.size:
        raise IndexError(f"leaf {index} is not there any more")
    path: list[bytes] = []
    for data in leaves:
        place, merging, node, width = tree.size, tree.size, leaf_hash(data), 1
        while merging & 1:
            left = tree.nodes.pop()
            first = place + 1 - 2 * width  # where the merged subtree begins
            if first <= index <= place:
                path.append(node if index < first + width else left)
            node, merging, width = node_hash(left, node), merging >> 1, 2 * width
        tree.nodes.append(node)
        tree.size += 1
    if index >= tree.size:
        raise IndexError(f"there is no leaf {index}")
    return tree, path + _right_edge(tree, index)


def _right_edge(tree: Tree, index: int) -> list[bytes]:
    """The rest of a path: the perfect subtrees are folded from the right."""
    widths = [1 << bit for bit in range(tree.size.bit_length() - 1, -1, -1) if tree.size >> bit & 1]
    begins = [sum(widths[:number]) for number in range(len(widths))]
    path: list[bytes] = []
    root = tree.nodes[-1]
    for node, begin, width in reversed(list(zip(tree.nodes[:-1], begins, widths, strict=False))):
        if index >= begin:
            path.append(root if index < begin + width else node)
        root = node_hash(node, root)
    return path


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a path leads to (RFC 9162, section 2.1.3.2); None when it has not the length that it must have."""
    if not 0 <= index < size:
        return None
    place, last, node = index, size - 1, leaf_hash(leaf)
    for sibling in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        place, last = place >> 1, last >> 1
    return node if last == 0 else None
