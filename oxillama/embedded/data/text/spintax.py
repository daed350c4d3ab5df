"""Texts with alternatives: "{set|change} the port" is "set the port" or "change the port". Braces nest; `{|very }` is
"very " or nothing; bars outside of braces part alternatives too."""

from __future__ import annotations

import functools
import random

# A sequence of literal texts and choices between sequences.
Node = tuple["str | tuple[Node, ...]", ...]


@functools.cache
def parse(text: str) -> tuple[Node, ...]:
    """The alternatives that `text` stands for. Raises ValueError for a brace without its fellow."""
    alternatives, end = _alternatives(text, 0)
    if end != len(text):
        raise ValueError(f"a brace too many at {end}: {text!r}")
    return alternatives


def _alternatives(text: str, at: int) -> tuple[tuple[Node, ...], int]:
    found: list[Node] = []
    node: list[str | tuple[Node, ...]] = []
    start = at
    while at < len(text) and text[at] != "}":
        if text[at] in "{|":
            node.append(text[start:at])
            if text[at] == "{":
                inner, at = _alternatives(text, at + 1)
                if at == len(text):
                    raise ValueError(f"a brace is not closed: {text!r}")
                node.append(inner)
            else:
                found.append(tuple(node))
                node = []
            start = at + 1
        at += 1
    node.append(text[start:at])
    found.append(tuple(node))
    return tuple(found), at


def expand(text: str, rng: random.Random) -> str:
    """One of the texts that `text` stands for."""
    return _choose(parse(text), rng)


def _choose(alternatives: tuple[Node, ...], rng: random.Random) -> str:
    node = alternatives[int(rng.random() * len(alternatives))]
    return "".join(part if isinstance(part, str) else _choose(part, rng) for part in node)
