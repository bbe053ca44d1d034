"""The tree is RFC 6962's: held to published vectors and to an implementation of other hands."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from arx_wrapper.audit.merkle import Tree, inclusion_path, leaf_hash, node_hash, root_of

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
    index = data.draw(st.integers(cut, size - 1))
    tree, path = inclusion_path(leaves[cut:], index, tree_of(leaves[:cut]))
    assert (tree, path) == inclusion_path(leaves, index)
    if cut:
        with pytest.raises(IndexError):
            inclusion_path(leaves[cut:], cut - 1, tree_of(leaves[:cut]))
