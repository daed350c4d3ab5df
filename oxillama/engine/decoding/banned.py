"""Strings that a text must not contain: which tokens would complete one.

A token is banned if the text with it would contain one of the strings, wherever in the tokens the string begins and
ends. That is exact: the text never contains one, and no other token is banned. Nothing has to be taken back, so it
works for every model and in streams. What a string begins with may appear; the model then has to continue otherwise.

Everything is in bytes, since a token may hold part of a character. In UTF-8 a string is found in a text exactly where
its bytes are found in the text's bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from oxillama.engine.token_texts import TokenTexts

    Ids = npt.NDArray[np.int32]

MOST_BYTES = 4 << 20
"""How much is remembered, for one list of strings, of what their beginnings ban."""
OVERHEAD = 256
"""Bytes beside the tokens of a beginning, about."""


class BannedStrings:
    """Strings by the bytes that they may go on with (Aho and Corasick 1975). Threads may share it.

    A state is a number: what of the text's end may be the beginning of a banned string. 0 is nothing.
    """

    def __init__(self, strings: Sequence[str], texts: TokenTexts) -> None:
        self._texts = texts
        self._next: list[dict[int, int]] = [{}]
        self._complete = {self._add(string.encode()) for string in dict.fromkeys(strings)}
        self._shorter = [0] * len(self._next)  # the state of the longest proper end of a state's text
        self._link()
        whole = [texts.containing(string.encode()) for string in dict.fromkeys(strings)]
        self._always = np.unique(np.concatenate([*whole, np.empty(0, np.int32)]))
        self._known: dict[int, Ids] = {}
        self._n_bytes = 0

    def _add(self, string: bytes) -> int:
        """The state of the whole string."""
        state = 0
        for byte in string:
            state = self._next[state].setdefault(byte, len(self._next))
            if state == len(self._next):
                self._next.append({})
        return state

    def _link(self) -> None:
        level = list(self._next[0].values())
        while level:
            for state in level:
                for byte, longer in self._next[state].items():
                    self._shorter[longer] = self._step(self._shorter[state], byte)
                    if self._shorter[longer] in self._complete:
                        self._complete.add(longer)
            level = [longer for state in level for longer in self._next[state].values()]

    def _step(self, state: int, byte: int) -> int:
        while byte not in self._next[state]:
            if not state:
                return 0
            state = self._shorter[state]
        return self._next[state][byte]

    def after(self, state: int, piece: bytes) -> int | None:
        """The state when the text goes on with `piece`; None if it then contains a banned string."""
        for byte in piece:
            state = self._step(state, byte)
            if state in self._complete:
                return None
        return state

    def tokens(self, state: int) -> Ids:
        """The tokens that complete a string, int32 (n,)."""
        if not state:
            return self._always
        found = self._known.get(state)
        if found is None:
            found = self._completing(state)
            n_bytes = found.nbytes + OVERHEAD
            if self._n_bytes + n_bytes > MOST_BYTES:
                self._known, self._n_bytes = {}, 0
            self._known[state] = found
            self._n_bytes += n_bytes
        return np.concatenate([self._always, found])

    def _completing(self, state: int) -> Ids:
        """The tokens that complete a string that the text has begun."""
        found = [np.empty(0, np.int32)]
        while state:
            found += self._ending(state)
            state = self._shorter[state]
        return np.unique(np.concatenate(found))

    def _ending(self, state: int) -> Iterator[Ids]:
        """The tokens that complete a string that begins with the whole text of `state`, which is not 0.

        Strings that go on alike are searched together, and only as far as some token does: one after the other took
        230 ms for a thousand strings with one long beginning, and the compute thread waited.
        """
        todo = [(state, b"", range(len(self._texts)))]
        while todo:
            state, text, places = todo.pop()
            for byte, longer in self._next[state].items():
                continued = text + bytes([byte])
                found = self._texts.beginning_with(continued, places)
                if longer in self._complete:
                    yield self._texts.ids(found)
                elif found:
                    todo.append((longer, continued, found))
