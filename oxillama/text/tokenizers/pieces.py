"""The bytes that each token adds to a text."""

from __future__ import annotations

import functools

from oxillama.text.tokenizers.algorithms.rwkv import unescape
from oxillama.text.tokenizers.vocab import BYTE, CONTROL, NORMAL, SHOWN, UNKNOWN, USER_DEFINED, Vocab, byte_value

_SPACE = "\u2581"


@functools.cache
def byte_alphabet() -> dict[str, int]:
    """GPT-2's byte alphabet (character → byte): printable Latin-1 stands for itself, U+0100 and up for the others."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(b): b for b in printable}
    others = (b for b in range(256) if chr(b) not in table)
    return table | {chr(0x100 + i): b for i, b in enumerate(others)}


class Pieces:
    """The bytes of each token: `visible(id)` as readers of the output see it, `piece(id)` with control tokens' texts.

    byte_level: the vocabulary spells its tokens in GPT-2's byte alphabet.
    """

    def __init__(self, vocab: Vocab, *, byte_level: bool) -> None:
        self._vocab = vocab
        self._byte_level = byte_level
        self._cache: dict[int, bytes] = {}

    def piece(self, i: int) -> bytes:
        """The token's bytes. A control token has its text here."""
        known = self._cache.get(i)
        if known is None:
            known = self._cache[i] = self._make(i)
        return known

    def visible(self, i: int) -> bytes:
        return b"" if self.is_hidden(i) else self.piece(i)

    def is_hidden(self, i: int) -> bool:
        """Whether the token never appears in the output: a control or unknown token."""
        attr = self._vocab.attrs[i]
        return bool(attr & (CONTROL | UNKNOWN)) and not attr & SHOWN

    def _make(self, i: int) -> bytes:
        token, attr = self._vocab.tokens[i], self._vocab.attrs[i]
        if self._vocab.model == "rwkv":
            return unescape(token)
        if attr & (CONTROL | UNKNOWN | USER_DEFINED):
            return _encode(token)
        if attr & NORMAL:
            return self._from_alphabet(token) if self._byte_level else _encode(token.replace(_SPACE, " "))
        if attr & BYTE:
            value = byte_value(token)
            return b"" if value is None else bytes([value])
        return b""

    def _from_alphabet(self, token: str) -> bytes:
        table = byte_alphabet()
        try:
            return bytes([table[c] for c in token])
        except KeyError:
            # Added tokens may be written as plain text.
            return b"".join(bytes([table[c]]) if c in table else _encode(c) for c in token)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
