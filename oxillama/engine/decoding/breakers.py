"""Where a repetition may begin anew for DRY: after text that is a sequence breaker, however its tokens are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oxillama.engine.decoding.vocabulary import Vocabulary


class Breakers:
    """Reads tokens one after the other. A control token's text is how the vocabulary spells it."""

    def __init__(self, breakers: Sequence[str], vocabulary: Vocabulary) -> None:
        self._breakers = [breaker.encode() for breaker in breakers]
        self._kept = max(map(len, self._breakers), default=1) - 1
        self._tail = b""
        self._vocabulary = vocabulary
        self._known: dict[int, bool] = {}  # by token, where no breaker can span several: a prompt may be long

    def completed_by(self, token: int) -> bool:
        """Whether a breaker ends in the next token."""
        if not self._kept and token in self._known:
            return self._known[token]
        piece = self._vocabulary.token_bytes(token) or self._vocabulary.hidden_text(token).encode()
        known, text = len(self._tail), self._tail + piece
        found = any(text.find(breaker, max(0, known - len(breaker) + 1)) >= 0 for breaker in self._breakers)
        if self._kept:
            self._tail = text[-self._kept :]
        else:
            self._known[token] = found
        return found
