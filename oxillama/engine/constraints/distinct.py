"""One generation's way through a grammar in which arrays have different items and objects different names.

No grammar can say that. A marker in it (`engine.api.constraint.DISTINCT`) stands before such an array or object: a
token that the model does not have, which the follower takes by itself where the grammar allows it. From there on it
reads the elements, and refuses a chosen token if it completes an element for the second time, or leads to where nothing
else is possible. So masks cost what they always cost, and only the one token that was chosen is looked at.

Where the grammar goes on with or without the marker, the ways are followed side by side until the tokens decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oxillama.engine.constraints.elements import SPACE, Elements
from oxillama.engine.constraints.follower import failure, fill_mask, forced_tokens
from oxillama.errors import GenerationError

if TYPE_CHECKING:
    import numpy.typing as npt
    from llguidance import LLMatcher

    from oxillama.engine.constraints.vocabulary import Pieces

    Mask = npt.NDArray[np.uint32]

MOST_NESTED = 32
"""Such arrays and objects within each other; none begins deeper. Each keeps the text of what it is in, so a reply of
opening brackets alone would take memory and time in square of its length."""
MOST_WAYS = 8
MOST_LOOKED_AT = 256
"""Beginnings of an element that are looked at to find one that is new. Each takes the time of a mask."""


class Way:
    """A matcher, and the arrays and objects around the place where it is."""

    def __init__(self, matcher: LLMatcher, around: tuple[Elements, ...]) -> None:
        self.matcher = matcher
        self.around = around

    def copy(self) -> Way:
        return Way(self.matcher.deep_copy(), tuple(one.copy() for one in self.around))

    def enter(self, marker: int) -> None:
        """Take the marker, which the grammar allows."""
        self.matcher.consume_token(marker)
        self.around = (*self.around, Elements())

    def read(self, piece: bytes) -> int | None:
        """Read the bytes of a token. Returns how many of them complete an element for the second time; None: none."""
        ends = [end for one in self.around if (end := one.feed(piece)) is not None]
        self.around = tuple(one for one in self.around if not one.closed)
        return min(ends, default=None)


class DistinctFollower:
    """See `engine.api.constraint.Follower`."""

    def __init__(self, matcher: LLMatcher, n_words: int, marker: int, pieces: Pieces) -> None:
        """matcher: this generation's own. marker: the token of DISTINCT. pieces: of the vocabulary."""
        self._ways = [Way(matcher, ())]
        self._mask: Mask = np.empty(n_words, np.uint32)
        self._filled = False
        self._marker = marker
        self._pieces = pieces
        self._after: tuple[int, list[Way]] | None = None  # a token that was looked at, and the ways after it

    @property
    def mask(self) -> Mask:
        return self._mask

    def fill(self) -> None:
        if self._filled:
            return
        found, other = [], np.empty_like(self._mask)
        self._mask[:] = 0
        for way in self._ways:
            if self._fill(way, other):
                more = way.copy() if other.any() else way
                if more is not way:
                    found.append(way)
                    self._mask |= other
                more.enter(self._marker)
                self._fill(more, other)
                way = more
            self._mask |= other
            found.append(way)
        self._ways = found[-MOST_WAYS:]
        self._filled = True

    def _fill(self, way: Way, mask: Mask) -> bool:
        """Write a way's mask. Returns whether the marker may come, which is not in it."""
        fill_mask(way.matcher, mask)
        word, bit = self._marker // 32, np.uint32(1 << self._marker % 32)
        marked = bool(mask[word] & bit)
        mask[word] &= ~bit
        return marked and len(way.around) < MOST_NESTED

    def check(self) -> None:
        sound = [way for way in self._ways if not way.matcher.is_error()]
        if not sound:
            raise GenerationError(failure(self._ways[0].matcher))
        self._ways = sound

    @property
    def _is_plain(self) -> bool:
        """Whether there is nothing to tell apart here."""
        return len(self._ways) == 1 and not self._ways[0].around

    def refuses(self, token_id: int) -> bool:
        if self._is_plain:
            return False
        ways, completed = self._next(token_id)
        if ways:
            self._after = (token_id, ways)
            return False
        alike = np.array([token_id], np.int32)
        if completed and len(self._ways) == 1:  # all that begin so complete the same element
            alike = self._pieces.beginning_with(self._pieces.piece(token_id)[:completed])
        np.bitwise_and.at(self._mask, alike >> 5, ~(np.uint32(1) << (alike & 31).astype(np.uint32)))
        return True

    def accept(self, token_id: int) -> None:
        self._filled = False
        if self._is_plain:
            if not self._ways[0].matcher.consume_token(token_id):
                raise GenerationError(failure(self._ways[0].matcher))
            return
        known, ways = self._after or (None, [])
        if known != token_id:
            ways, _ = self._next(token_id)
        if not ways:
            raise GenerationError(failure(self._ways[0].matcher))
        self._ways, self._after = ways, None
        self.check()

    def _next(self, token_id: int) -> tuple[list[Way], int | None]:
        """The ways after a token, and how many of its bytes complete an element for the second time on the last one."""
        found: list[Way] = []
        completed: int | None = None
        piece = self._pieces.piece(token_id)
        for way in self._ways:
            if not way.matcher.validate_tokens([token_id]):
                continue
            after = way.copy()
            completed = after.read(piece)
            if completed is None:
                after.matcher.consume_token(token_id)  # `check` says if that exceeds its limits
                if after.matcher.is_error() or self._goes_on(after):
                    found.append(after)
        return found, completed

    def _goes_on(self, way: Way) -> bool:
        """Whether the elements that are being read may still become new ones."""
        if not any(one.in_danger for one in way.around):
            return True
        waiting, mask = [way], np.empty_like(self._mask)
        for _ in range(MOST_LOOKED_AT):
            if not waiting:
                return False
            here = waiting.pop()
            if self._fill(here, mask):
                inner = here.copy()
                inner.enter(self._marker)
                waiting.append(inner)
            for byte in self._bytes_after(here, mask):
                token = self._pieces.of_byte(byte)
                after = here.copy()
                n_elements = len(after.around)
                if after.read(bytes([byte])) is not None:
                    continue
                if token is None or len(after.around) < n_elements or not any(one.in_danger for one in after.around):
                    return True
                after.matcher.consume_token(token)
                waiting.append(after)
        return True

    def _bytes_after(self, way: Way, mask: Mask) -> bytes:
        """The bytes that may come next. White space outside of strings changes nothing, so one that must come
        stands for all that may."""
        found = self._pieces.first_bytes(mask)
        if way.around[-1].in_string:
            return found
        return bytes(byte for byte in found if byte not in SPACE) or found[-1:]

    def forced(self) -> tuple[int, ...]:
        if len(self._ways) > 1:
            return ()
        (way,) = self._ways
        found = forced_tokens(way.matcher)
        if found[:1] == (self._marker,) and len(way.around) < MOST_NESTED:
            way.enter(self._marker)
            found = forced_tokens(way.matcher)
        return found[: found.index(self._marker)] if self._marker in found else found

    @property
    def ended(self) -> bool:
        return all(way.matcher.is_stopped() for way in self._ways)
