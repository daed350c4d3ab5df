"""Streaming detokenization: whole characters only, up to the first stop string."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from oxillama.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oxillama.text.tokenizers.tokenizer import Tokenizer


class StreamDetokenizer:
    """Turns the tokens of a generation into pieces of text.

    Bytes that may still become a character are held back. Bytes that cannot are replaced by U+FFFD at once, so the
    joined pieces equal `bytes.decode("utf-8", "replace")` of all bytes. The first token keeps its leading space,
    because a generation continues a prompt.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._token_bytes = tokenizer.token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        """The characters that this token completes. Raises InvalidParameterError for an id outside the vocabulary."""
        return self._decoder.decode(self._token_bytes(token_id))

    def flush(self) -> str:
        """Return what is left at the end: U+FFFD for an unfinished character. Resets the object."""
        rest = self._decoder.decode(b"", True)
        self._decoder.reset()
        return rest


class _Automaton:
    """Tracks how much of one stop string the text ends with (Knuth-Morris-Pratt: amortised O(1) per character)."""

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
    """Releases text that can no longer be part of a stop string, and reports when a stop string is complete.

    The stop string that ends first wins; if several end at the same character, the longest wins. The stop string and
    anything after it are never released.

    The text of control tokens is searched too, so a stop string may name a control token, but it is never released.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        unique = dict.fromkeys(stops)
        if "" in unique:
            raise InvalidParameterError("Invalid 'stop': an empty string cannot end a text.", param="stop")
        self._automata = [_Automaton(stop) for stop in unique]
        self._held: list[str] = []  # one character per item; "" for a character of a control token's text
        self._done = False

    def push(self, text: str, *, hidden: bool = False) -> tuple[str, bool]:
        """Add text and return (released, matched). After a match, every call returns ("", True).

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
        """Return the text still held when the generation ends without a stop string. Resets the object."""
        held, self._held, self._done = "".join(self._held), [], False
        for automaton in self._automata:
            automaton.matched = 0
        return held
