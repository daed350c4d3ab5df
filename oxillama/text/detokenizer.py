"""Tokens to text as they come, never half a character."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oxillama.text.tokenizer import Tokenizer


class StreamDetokenizer:
    """The text of a generation, piece by piece.

    Bytes that may still become a character are held back; bytes that cannot become U+FFFD at once, so the pieces
    together equal `bytes.decode("utf-8", "replace")` of the whole. The first token keeps its leading space: a
    generation goes on from a prompt.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._token_bytes = tokenizer.token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        """The characters that this token completes. Raises InvalidParameterError for an id outside the vocabulary."""
        return self._decoder.decode(self._token_bytes(token_id))

    def flush(self) -> str:
        """What is left at the end: U+FFFD for an unfinished character. The object is as new afterwards."""
        rest = self._decoder.decode(b"", True)
        self._decoder.reset()
        return rest
