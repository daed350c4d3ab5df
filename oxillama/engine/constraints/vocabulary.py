"""A model's vocabulary as llguidance wants it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from llguidance import LLTokenizer

from oxillama.engine.api.constraint import DISTINCT

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from oxillama.engine.api.protocol import TokenizerLike
    from oxillama.engine.token_texts import TokenTexts

SENTINEL = "\x02"
"""A character that no token merges with. It keeps away the space that some vocabularies put before every text."""


class _Tokens:
    """What LLTokenizer reads: the bytes of each token, and the tokens of a text."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, tokenizer: TokenizerLike, n_vocab: int) -> None:
        self._tokenizer = tokenizer
        n_named = min(tokenizer.n_vocab, n_vocab)
        self.special_token_ids = [i for i in range(n_named) if _is_marker(tokenizer, i)]
        special = set(self.special_token_ids)
        # A token without bytes never comes.
        self.tokens = [
            tokenizer.token_text(i).encode() if i in special else tokenizer.token_bytes(i) for i in range(n_named)
        ] + [b""] * (n_vocab - n_named)
        self.tokens.append(DISTINCT.encode())  # a token more than the model has
        self.special_token_ids.append(n_vocab)
        self._special = special
        # Without any token that ends a text, llguidance adds one behind the vocabulary.
        self.eos_token_id = min((i for i in tokenizer.eog_ids if i < n_vocab), default=None)
        first = tokenizer.encode("x", False)
        self._puts_space_first = bool(first) and tokenizer.token_bytes(first[0]).startswith(b" ")

    def __call__(self, text: str) -> list[int]:
        """The tokens of a text; none if they would not be exactly its bytes. It must not raise: Rust calls it."""
        try:
            if not self._puts_space_first:
                ids = self._tokenizer.encode(text, False)
            else:
                ids, skipped = self._tokenizer.encode(SENTINEL + text, False), b""
                while ids and len(skipped) < 2:
                    skipped += self.tokens[ids.pop(0)]
                if skipped != (" " + SENTINEL).encode():
                    return []
        except ValueError:
            return []
        exact = not self._special.intersection(ids) and b"".join(self.tokens[i] for i in ids) == text.encode()
        return ids if exact else []


def _is_marker(tokenizer: TokenizerLike, token_id: int) -> bool:
    """Whether a token marks structure and is no part of a text: a control token, or a user-defined one that is spelled
    like a tag, as "<tool_call>" and "[ARGS]" are. Other user-defined tokens are whitespace, digits or words."""
    if tokenizer.is_control(token_id):
        return True
    text = tokenizer.token_text(token_id)
    tag = len(text) > 2 and (text[0] + text[-1]) in ("<>", "[]")
    return tag and tokenizer.is_special(token_id)


def ll_tokenizer(tokenizer: TokenizerLike, n_vocab: int) -> LLTokenizer:
    """llguidance's view of a vocabulary of n_vocab logits. Takes about a second for 150,000 tokens, and LLTokenizer
    keeps the GIL for 0.4 s of it: meanwhile no generation goes on. So it is made once, for a server as soon as it runs.

    Tokens that mark structure are special: no text matches them, only their names and ids do.
    """
    ends = sorted(i for i in tokenizer.eog_ids if i < n_vocab)
    return LLTokenizer(_Tokens(tokenizer, n_vocab), eos_token=ends or None)  # type: ignore[arg-type]


class Pieces:
    """The bytes of tokens, and the tokens of bytes."""

    def __init__(self, tokenizer: TokenizerLike, n_vocab: int, texts: Callable[[], TokenTexts]) -> None:
        self._tokenizer = tokenizer
        self._n_named = min(tokenizer.n_vocab, n_vocab)
        self._n_vocab = n_vocab
        self._make = texts

    def prepare(self) -> None:
        """Sort the vocabulary now, not in a generation's step. Blocks, for a fraction of a second."""
        _ = self._first, self._singles

    @cached_property
    def _texts(self) -> TokenTexts:
        return self._make()

    def piece(self, token_id: int) -> bytes:
        """The bytes of a token; none if it has none."""
        return self._tokenizer.token_bytes(token_id) if token_id < self._n_named else b""

    def beginning_with(self, start: bytes) -> npt.NDArray[np.int32]:
        """The tokens that begin so."""
        return self._texts.ids(self._texts.beginning_with(start, range(len(self._texts))))

    def first_bytes(self, mask: npt.NDArray[np.uint32]) -> bytes:
        """With which bytes the tokens of a mask begin."""
        allowed = np.unpackbits(mask.view(np.uint8), count=self._n_vocab, bitorder="little")
        return bytes(np.flatnonzero(np.bincount(self._first, weights=allowed, minlength=257)[:256]).tolist())

    def of_byte(self, byte: int) -> int | None:
        """The token of a single byte, if there is one."""
        return self._singles.get(byte)

    @cached_property
    def _first(self) -> npt.NDArray[np.uint16]:
        """The first byte of each token; 256 for those without any."""
        found = np.full(self._n_vocab, 256, np.uint16)
        for byte in range(256):
            found[self.beginning_with(bytes([byte]))] = byte
        return found

    @cached_property
    def _singles(self) -> dict[int, int]:
        every = range(len(self._texts))
        found = {byte: self._texts.beginning_with(bytes([byte]), every) for byte in range(256)}
        return {b: int(self._texts.ids(at)[0]) for b, at in found.items() if at and len(self._texts[at.start]) == 1}
