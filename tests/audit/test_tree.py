"""The tree is RFC 6962's: held to published vectors and to an implementation of other hands."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from arx_wrapper.audit.merkle import Tree, leaf_hash, node_hash, root_of
from arx_wrapper.audit.tiles import WIDTH, TileTree, consistent, grown, subtree

# The eight leaves of Certificate Transparency's own tests, and the roots over the first of them.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def tree_of(leaves: list[bytes]) -> Tree:
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf)
    return tree


def tiled(leaves: list[bytes]) -> TileTree:
    """The same leaves in tiles, as a log stores them."""
    tiles: dict[tuple[int, int], bytes] = {}
    hashes = [leaf_hash(leaf) for leaf in leaves]
    for number in range(len(leaves) // WIDTH):
        block = hashes[number * WIDTH : (number + 1) * WIDTH]
        for tile in grown(number, b"".join(block), subtree(block), lambda level, place: tiles.get((level, place))):
            tiles[tile.level, tile.number] = tile.hashes
    return TileTree(len(leaves), hashes[len(leaves) // WIDTH * WIDTH :], lambda level, place: tiles.get((level, place)))


def inclusion_path(leaves: list[bytes], index: int) -> tuple[Tree, list[bytes]]:
    tree = tiled(leaves)
    return tree.frontier(len(leaves)), tree.inclusion(index, len(leaves))


def root_by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(root_by_definition(leaves[:split]), root_by_definition(leaves[split:]))


def test_the_published_roots() -> None:
    assert tree_of([]).root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert [tree_of(LEAVES[:size]).root().hex() for size in range(1, 9)] == ROOTS


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 100, 257])
def test_roots_and_paths_of_other_hands(size: int) -> None:
    leaves = [f"record {number}".encode() for number in range(size)]
    other = InmemoryTree(algorithm="sha256")
    for leaf in leaves:
        other.append_entry(leaf)
    assert other.get_root() == tree_of(leaves).root()
    for index in {0, size // 2, size - 1}:
        _, path = inclusion_path(leaves, index)
        theirs = [bytes.fromhex(step) for step in other.prove_inclusion(index + 1).serialize()["path"]]
        assert sorted(theirs) == sorted([leaf_hash(leaves[index]), *path])


@given(st.integers(1, 300), st.data())
def test_every_path_leads_to_the_root_and_no_other(size: int, data: st.DataObject) -> None:
    leaves = [number.to_bytes(2) for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    tree, path = inclusion_path(leaves, index)
    assert tree.root() == root_by_definition(leaves)
    assert root_of(leaves[index], index, size, path) == tree.root()
    assert root_of(b"other", index, size, path) != tree.root()
    other = data.draw(st.integers(0, size - 1).filter(lambda found: found != index)) if size > 1 else size
    assert root_of(leaves[index], other, size, path) != tree.root()
    assert root_of(leaves[index], index, size, [*path, b"\x00" * 32]) is None
    if path:
        assert root_of(leaves[index], index, size, path[:-1]) is None


@given(st.integers(1, 120), st.data())
def test_a_tree_goes_on_from_what_was_kept_of_it(size: int, data: st.DataObject) -> None:
    leaves = [number.to_bytes(2) for number in range(size)]
    cut = data.draw(st.integers(0, size - 1))
    kept = tiled(leaves).frontier(cut)
    assert kept == tree_of(leaves[:cut])
    for leaf in leaves[cut:]:
        kept.add(leaf)
    assert kept == tree_of(leaves)
    with pytest.raises(IndexError):
        inclusion_path(leaves, size)


@pytest.mark.parametrize("size", [256, 257, 511, 512, 65_536, 65_537, 66_000])
def test_tiles_of_every_level_give_the_same_roots_and_paths(size: int) -> None:
    leaves = [number.to_bytes(4) for number in range(size)]
    tree = tiled(leaves)
    assert tree.root() == tree_of(leaves).root()
    for index in (0, 255, size // 2, size - 1):
        assert root_of(leaves[index], index, size, tree.inclusion(index, size)) == tree.root()
    assert tree.root(size - 1) == tree_of(leaves[:-1]).root()


@given(st.integers(1, 700), st.data())
def test_a_consistency_proof_leads_from_one_root_to_the_other_and_to_no_other(size: int, data: st.DataObject) -> None:
    leaves = [number.to_bytes(2) for number in range(size)]
    old = data.draw(st.integers(1, size))
    tree = tiled(leaves)
    path, before, after = tree.consistency(old, size), tree.root(old), tree.root()
    assert consistent(old, before, size, after, path)
    assert not consistent(old, b"\0" * 32, size, after, path)
    assert not consistent(old, before, size, after, [*path, b"\0" * 32])
    if old < size:
        assert not consistent(old, before, size, b"\0" * 32, path)
        assert not consistent(old, before, size, after, path[:-1])
    forked = tiled([b"forked", *leaves[1:]])
    assert not consistent(old, before, size, forked.root(), forked.consistency(old, size))
