"""SentencePiece BPE (`llama`): merges neighbours into tokens, best score first. Other characters become byte tokens.

The library's BPE ranks pairs, but SentencePiece ranks the merged tokens and prefers the leftmost of equal ones.
Therefore the merging is done in the C core.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from oxillama.core._core import SpmVocab
from oxillama.text.tokenizers.algorithms.pipeline import encodable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oxillama.text.tokenizers.vocab import Vocab

SPACE = "\u2581"


class SpmEncoder:
    """Encodes text with an SPM vocabulary. Bytes without a token become the unknown token, or are left out."""

    def __init__(self, vocab: Vocab) -> None:
        pieces = [token.encode() if encodable(token) else b"" for token in vocab.tokens]
        self._merger = SpmVocab(pieces, vocab.scores, secrets.randbits(64))
        self._space_prefix = vocab.add_space_prefix is not False
        self._byte_ids = vocab.byte_ids
        self._unknown = vocab.special.get("unknown")

    def encode(self, pieces: Sequence[str | int]) -> list[int]:
        ids: list[int] = []
        after_special = True
        for piece in pieces:
            if isinstance(piece, int):
                ids.append(piece)
                after_special = True
                continue
            if after_special and self._space_prefix:
                piece = " " + piece
            ids += self._encode_text(piece.replace(" ", SPACE))
            after_special = False
        return ids

    def _encode_text(self, text: str) -> list[int]:
        found = self._merger.encode(text.encode())
        ids: list[int] = found.tolist()
        if (found >= 0).all():
            return ids
        spelled = (i if i >= 0 else self._byte_ids.get(-1 - i, self._unknown) for i in ids)
        return [i for i in spelled if i is not None]
