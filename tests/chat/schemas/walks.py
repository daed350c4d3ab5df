"""Texts that a grammar admits, and whether it admits a text. Tokens are bytes."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from oxillama.chat.schemas import schema_grammar
from oxillama.engine.constraints.grammars import Grammar, Grammars
from tests.support.fake_engine import EOS, FIRST_BYTE, FakeTokenizer

CLOSERS = b'"]}'


@cache
def grammars() -> Grammars:
    return Grammars(FakeTokenizer(), FakeTokenizer.n_vocab)


def compiled(schema: Any, **options: Any) -> Grammar:
    """The grammar of the texts that match a schema. Raises InvalidParameterError."""
    written = schema_grammar(schema, **options)
    return grammars().compile(f"start: {written.name}\n{written.rules}")


def admits(grammar: Grammar, text: str) -> bool:
    """Whether the whole text meets the grammar."""
    follower = grammar.follow()
    for byte in text.encode():
        follower.fill()
        token = byte + FIRST_BYTE
        if not follower.mask[token // 32] >> (token % 32) & 1 or follower.refuses(token):
            return False
        follower.accept(token)
    follower.fill()
    return follower.ended or bool(follower.mask[EOS // 32] >> EOS & 1)


def orders(value: Any) -> Iterator[Any]:
    """The value with the members of its objects in every order, as far as there are few."""
    if isinstance(value, list):
        yield from ([*items] for items in itertools.product(*map(list, map(orders, value))))
    elif isinstance(value, Mapping):
        for names in itertools.permutations(value):
            choices = [list(orders(value[name])) for name in names]
            yield from (dict(zip(names, values, strict=True)) for values in itertools.product(*choices))
    else:
        yield int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e300 else value


def canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def admits_value(grammar: Grammar, value: Any) -> bool:
    """Whether the grammar admits the value's canonical text, with members in any order."""
    return any(admits(grammar, canonical(one)) for one in itertools.islice(orders(value), 200))


def walk(grammar: Grammar, rng: random.Random, *, most: int = 400, patience: int = 40) -> str | None:
    """A text made by random choices among the allowed tokens; None if it does not end.

    patience: after this many tokens, what closes strings, arrays and objects is preferred.
    """
    follower, made = grammar.follow(), bytearray()
    for n in range(most):
        if follower.ended:
            return made.decode()
        follower.fill()
        assert follower.mask.any(), made
        allowed = np.unpackbits(follower.mask.view(np.uint8), bitorder="little").nonzero()[0]
        if EOS in allowed and (len(allowed) == 1 or n > patience or rng.random() < 0.3):
            return made.decode()
        bytes_ = [int(token) - FIRST_BYTE for token in allowed if token >= FIRST_BYTE]
        closers = [byte for byte in bytes_ if byte in CLOSERS]
        plain = [byte for byte in bytes_ if byte < 0x7F]
        if closers and (n > patience or rng.random() < 0.3):
            bytes_ = closers
        elif plain and rng.random() < 0.9:
            bytes_ = plain
        byte = rng.choice(bytes_)
        if follower.refuses(byte + FIRST_BYTE):
            continue
        made.append(byte)
        follower.accept(byte + FIRST_BYTE)
        follower.check()
    return None
