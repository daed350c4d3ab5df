"""The radix tree finds every sequence by its common prefix with another, as comparing them one by one does."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from oxillama.engine.batching.radix import RadixTree, _Node, common_prefix

texts = st.lists(st.integers(0, 1), max_size=9)


def tokens(*ids: int) -> np.ndarray:
    return np.array(ids, np.int32)


def nodes(tree: RadixTree[int]) -> int:
    def count(node: _Node[int]) -> int:
        return 1 + sum(map(count, node.children.values()))

    return sum(map(count, tree._roots.values()))


@settings(max_examples=200, deadline=None)
@given(
    changes=st.lists(st.tuples(st.booleans(), texts, st.integers(0, 1)), max_size=20),
    prompt=texts,
)
def test_matches_are_those_of_a_plain_comparison(changes: list[tuple[bool, list[int], int]], prompt: list[int]) -> None:
    tree: RadixTree[int] = RadixTree()
    known: dict[int, tuple[int, list[int]]] = {}
    for value, (leaves, ids, key) in enumerate(changes):
        if leaves and known:
            gone = list(known)[len(ids) % len(known)]
            tree.remove(gone)
            del known[gone]
        tree.add(value, tokens(*ids), key)
        known[value] = key, ids
        assert value in tree
        assert tree.entry(value)[0].tolist() == ids
    assert len(tree) == len(known)
    for key in (0, 1):
        found = list(tree.matches(tokens(*prompt), key))
        wanted = [(common_prefix(tokens(*ids), tokens(*prompt)), v) for v, (k, ids) in known.items() if k == key]
        assert sorted(found) == sorted(wanted)
        assert [n for n, _ in found] == sorted((n for n, _ in wanted), reverse=True)
    for value in known:
        tree.remove(value)
        tree.remove(value)
    assert nodes(tree) == 0


def test_what_a_sequence_that_left_had_split_is_joined_again() -> None:
    tree: RadixTree[int] = RadixTree()
    tree.add(0, np.arange(1000, dtype=np.int32))
    alone = nodes(tree)
    for n in range(1, 900):
        tree.add(n, np.arange(n, dtype=np.int32))
        tree.add(n + 1000, tokens(*range(n), 5000))
        tree.remove(n)
        tree.remove(n + 1000)
    assert nodes(tree) == alone
    assert next(tree.matches(np.arange(700, dtype=np.int32))) == (700, 0)


def test_many_long_sequences_take_few_nodes() -> None:
    """So that a search compares arrays, whatever the number of sequences and their length."""
    tree: RadixTree[int] = RadixTree()
    common = np.arange(50_000, dtype=np.int32)
    for n in range(256):
        tree.add(n, np.concatenate((common, np.full(50_000, n, np.int32))))
    assert nodes(tree) == 1 + 1 + 256
    assert next(tree.matches(np.concatenate((common, np.full(100, 77, np.int32))))) == (50_100, 77)
