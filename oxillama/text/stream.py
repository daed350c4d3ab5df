"""The text of a generation as it comes: whole characters only, ended at the first stop string."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from oxillama.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oxillama.text.tokenizers.tokenizer import Tokenizer


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


class _Automaton:
    """How much of one stop string the text so far ends with (Knuth-Morris-Pratt: constant work per character)."""

    __slots__ = ("failure", "matched", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.matched = 0
        # failure[i]: the longest proper prefix of pattern[:i] that is also its suffix.
        self.failure = [0, 0]
        for i in range(1, len(pattern)):
            self.failure.append(self._next(self.failure[i], pattern[i]))

    def _next(self, matched: int, char: str) -> int:
        while matched and self.pattern[matched] != char:
            matched = self.failure[matched]
        return matched + (self.pattern[matched] == char)

    def push(self, char: str) -> bool:
        self.matched = self._next(self.matched, char)
        return self.matched == len(self.pattern)


class StopMatcher:
    """Releases text that can no longer be part of a stop string and says when one is complete.

    The stop string whose end comes first wins; among those that end together, the longest. Neither it nor anything
    after it is ever released.

    Control tokens have a text that readers never see. It takes part in the search, so a stop string may name such a
    token, but it is never released.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        unique = dict.fromkeys(stops)
        if "" in unique:
            raise InvalidParameterError("Invalid 'stop': an empty string cannot end a text.", param="stop")
        self._automata = [_Automaton(stop) for stop in unique]
        self._held: list[str] = []  # a character each; "" for one of a control token's text
        self._done = False

    def push(self, text: str, *, hidden: bool = False) -> tuple[str, bool]:
        """(released, matched). Once matched, everything further is swallowed and (“”, True) comes back.

        hidden: the text is a control token's.
        """
        if self._done:
            return "", True
        if not self._automata:
            return "" if hidden else text, False
        held = self._held
        for char in text:
            held.append("" if hidden else char)
            longest = max((len(a.pattern) for a in self._automata if a.push(char)), default=0)
            if longest:
                released = "".join(held[: len(held) - longest])
                self._done, self._held = True, []
                return released, True
        free = len(held) - max(a.matched for a in self._automata)
        released = "".join(held[:free])
        self._held = held[free:]
        return released, False

    def flush(self) -> str:
        """The text still held when the generation ends without a stop string. The object is as new afterwards."""
        held, self._held, self._done = "".join(self._held), [], False
        for automaton in self._automata:
            automaton.matched = 0
        return held
