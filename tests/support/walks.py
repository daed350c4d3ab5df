"""Random texts that a grammar admits: walks through its masks, over a vocabulary of bytes, fragments and markers."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLTokenizer, grammar_from
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

FRAGMENTS = [
    b"the ", b"aa", b"x", b'"', b"'", b"\\", b"</", b"\n", b"parameter>", b"</parameter>", b"</function>",
    b"<function=",
    b"[", b"]", b"{", b"}", b",", b" ", b"=", b"null", b"true", "é".encode(), b"5", b"12", b"<![CDATA[",
]  # fmt: skip
CLOSERS = [b"</parameter>", b"]", b"}", b"\n", b"<", b"/", b">", b'"', b")"]


class ByteVocabulary:
    """Bytes, fragments of text, and special tokens."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, specials: Iterable[str]) -> None:
        plain = [bytes([byte]) for byte in range(256)] + [piece for piece in FRAGMENTS if len(piece) > 1]
        self.first_special = len(plain)
        names = list(dict.fromkeys(specials))
        self._ids = {name: len(plain) + at for at, name in enumerate(names)}
        self.eos_token_id = len(plain) + len(names)
        self.tokens = [*plain, *(name.encode() for name in names), b"<end>"]
        self.special_token_ids = list(range(self.first_special, len(self.tokens)))
        self.closers = frozenset(plain.index(piece) for piece in CLOSERS)
        self.n_words = (len(self.tokens) + 31) // 32

    def __call__(self, text: str) -> list[int]:
        return list(text.encode())

    def find(self, text: str) -> int | None:
        return self._ids.get(text)

    def is_special(self, token_id: int) -> bool:
        return token_id >= self.first_special

    def token_bytes(self, token_id: int) -> bytes:
        return b"" if self.is_special(token_id) else self.tokens[token_id]


class Walks:
    """Walks through one grammar. Raises AssertionError if llguidance refuses it."""

    def __init__(self, vocabulary: ByteVocabulary, lark: str) -> None:
        self._vocabulary = vocabulary
        tokens: Any = vocabulary
        self._matcher = LLMatcher(LLTokenizer(tokens), grammar_from("lark", lark), log_level=0)
        assert not self._matcher.is_error(), f"{self._matcher.get_error()}\n{lark}"

    def walk(self, dice: random.Random, most: int = 600) -> list[int] | None:
        """The tokens of a text; None: it did not end within `most` tokens."""
        vocabulary, matcher = self._vocabulary, self._matcher.deep_copy()
        mask = allocate_token_bitmask(1, len(vocabulary.tokens))
        ids: list[int] = []
        while not matcher.is_stopped() and len(ids) < most:
            fill_next_token_bitmask(matcher, mask, 0)
            assert not matcher.is_error(), matcher.get_error()
            allowed = np.flatnonzero(np.unpackbits(mask[0].view(np.uint8), bitorder="little")).tolist()
            chosen = self._chosen(allowed, dice, len(ids) > most // 3)
            if chosen == vocabulary.eos_token_id:
                return ids
            assert matcher.consume_token(chosen)
            ids.append(chosen)
        return ids if matcher.is_stopped() else None

    def _chosen(self, allowed: Sequence[int], dice: random.Random, late: bool) -> int:
        vocabulary = self._vocabulary
        if vocabulary.eos_token_id in allowed and dice.random() < 0.5:
            return vocabulary.eos_token_id
        marks = [token for token in allowed if vocabulary.is_special(token)]
        if marks and dice.random() < (0.9 if late else 0.3):
            return dice.choice(marks)
        closers = [token for token in allowed if token in vocabulary.closers]
        return dice.choice(closers if closers and late and dice.random() < 0.5 else allowed)

    def walks(self, number: int, seed: int) -> Iterator[list[int]]:
        """The texts of several walks that end."""
        dice = random.Random(seed)
        for _ in range(number):
            if (ids := self.walk(dice)) is not None:
                yield ids
