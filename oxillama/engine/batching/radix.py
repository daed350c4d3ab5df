"""A radix tree over tokens: finds the sequences that begin as another does, in time proportional to that beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    import numpy.typing as npt

    Tokens = npt.NDArray[np.int32]

V = TypeVar("V")


class _Node(Generic[V]):
    """`tokens` lead to it from its parent. `values` are those whose sequences end here or in a node below."""

    __slots__ = ("children", "tokens", "values")

    def __init__(self, tokens: Tokens, values: dict[V, None]) -> None:
        self.tokens = tokens
        self.values = values
        self.children: dict[int, _Node[V]] = {}  # by their first token


class RadixTree(Generic[V]):
    """Values with a sequence of tokens each. Sequences under different keys have no prefix in common."""

    def __init__(self) -> None:
        self._roots: dict[Hashable, _Node[V]] = {}
        self._sequences: dict[V, tuple[Hashable, Tokens]] = {}

    def __len__(self) -> int:
        return len(self._sequences)

    def __contains__(self, value: V) -> bool:
        return value in self._sequences

    def entry(self, value: V) -> tuple[Tokens, Hashable]:
        """The sequence and the key of a value in the tree."""
        key, tokens = self._sequences[value]
        return tokens, key

    def add(self, value: V, tokens: Tokens, key: Hashable = None) -> None:
        """Add a value that is not in the tree. tokens: int32 (n,), which must not change afterwards."""
        self._sequences[value] = key, tokens
        node = self._roots.setdefault(key, _Node(tokens[:0], {}))
        node.values[value] = None
        while len(tokens):
            child = node.children.get(int(tokens[0]))
            if child is None:
                node.children[int(tokens[0])] = _Node(tokens, {value: None})
                return
            n = common_prefix(child.tokens, tokens)
            if n < len(child.tokens):
                _split(child, n)
            child.values[value] = None
            node, tokens = child, tokens[n:]

    def remove(self, value: V) -> None:
        """Remove a value. Does nothing if it is not in the tree."""
        if value not in self._sequences:
            return
        key, tokens = self._sequences.pop(value)
        node = self._roots[key]
        del node.values[value]
        if not node.values:
            del self._roots[key]
            return
        path = []
        while len(tokens):
            first = int(tokens[0])
            child = node.children[first]
            del child.values[value]
            if not child.values:
                del node.children[first]
                break
            path.append(child)
            node, tokens = child, tokens[len(child.tokens) :]
        for node in reversed(path):
            _join(node)

    def matches(self, tokens: Tokens, key: Hashable = None) -> Iterator[tuple[int, V]]:
        """(length of the common prefix with `tokens`, value) for all values with the key, the longest first.

        The tree must not change while it is iterated over.
        """
        path: list[tuple[int, _Node[V]]] = []
        node, depth = self._roots.get(key), 0
        while node is not None:
            n = common_prefix(node.tokens, tokens[depth:])
            depth += n
            path.append((depth, node))
            if n < len(node.tokens) or depth == len(tokens):
                break
            node = node.children.get(int(tokens[depth]))
        below: dict[V, None] = {}
        for depth, node in reversed(path):
            for value in node.values:
                if value not in below:
                    yield depth, value
            below = node.values


def _split(node: _Node[V], n: int) -> None:
    """Move what follows a node's first n tokens to a new child."""
    rest: _Node[V] = _Node(node.tokens[n:], dict(node.values))
    rest.children = node.children
    node.tokens, node.children = node.tokens[:n], {int(rest.tokens[0]): rest}


def _join(node: _Node[V]) -> None:
    """Undo a split that no sequence needs any more: a node with a single child, and with no value that ends in it."""
    while len(node.children) == 1:
        (child,) = node.children.values()
        if len(child.values) < len(node.values):
            return
        node.tokens, node.children = np.concatenate((node.tokens, child.tokens)), child.children


def common_prefix(a: Tokens, b: Tokens) -> int:
    """The length of the common prefix of two sequences."""
    n = min(len(a), len(b))
    different = a[:n] != b[:n]
    at = int(different.argmax()) if n else 0
    return at if n and different[at] else n
