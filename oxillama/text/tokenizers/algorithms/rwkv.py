"""RWKV's tokenizer (`rwkv`): greedy, takes the longest token at each position.

Tokens are bytes; the file writes them with backslash escapes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oxillama.text.tokenizers.vocab import Vocab

_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_NAMED = {b"t": b"\t", b"n": b"\n", b"r": b"\r"}


def _plain(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes([int(match[1], 16)])
    return _NAMED.get(match[2], match[2])


def unescape(token: str) -> bytes:
    r"""The bytes of a token as the file writes it: `\xHH`, `\t`, `\n`, `\r`, or `\` before any other byte."""
    return _ESCAPE.sub(_plain, token.encode("utf-8", "surrogateescape"))


class RwkvEncoder:
    """Encodes text with an RWKV vocabulary. Bytes without a token become the unknown token, or are left out."""

    def __init__(self, vocab: Vocab) -> None:
        self._ids = {unescape(token): i for i, token in enumerate(vocab.tokens)}
        self._unknown = vocab.special.get("unknown")
        lengths: dict[bytes, set[int]] = {}
        for token in self._ids:
            lengths.setdefault(token[:2], set()).add(len(token))
        # First two bytes → lengths of the tokens that begin with them, longest first.
        self._lengths = {start: sorted(found, reverse=True) for start, found in lengths.items()}

    def encode(self, pieces: Sequence[str | int]) -> list[int]:
        out: list[int] = []
        for piece in pieces:
            if isinstance(piece, int):
                out.append(piece)
            else:
                self._encode_bytes(piece.encode(), out)
        return out

    def _encode_bytes(self, data: bytes, out: list[int]) -> None:
        ids, lengths = self._ids, self._lengths
        at = 0
        while at < len(data):
            for length in lengths.get(data[at : at + 2], ()):
                token = ids.get(data[at : at + length])
                if token is not None:
                    out.append(token)
                    at += length
                    break
            else:
                token = ids.get(data[at : at + 1], self._unknown)
                if token is not None:
                    out.append(token)
                at += 1
