"""The texts of all tokens, for searches over the whole vocabulary."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Ids = npt.NDArray[np.int32]


class TokenTexts:
    """See above. Threads may share it."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        ids = sorted((i for i, piece in enumerate(pieces) if piece), key=pieces.__getitem__)
        self._ids = np.array(ids, np.int32)
        self._sorted = [pieces[i] for i in ids]
        self._ends = np.cumsum([len(piece) for piece in self._sorted])
        self._joined = b"".join(self._sorted)

    def beginning_with(self, start: bytes, places: range) -> range:
        """At which of these places in the order of texts those are that begin with `start`, which is not empty.

        places: where texts begin with the first bytes of `start`; `range(len(texts))` for all of them.
        """
        first = bisect_left(self._sorted, start, places.start, places.stop)
        if first == places.stop or not self._sorted[first].startswith(start):
            return range(0)
        if start[-1] == 255:  # in tokens of single bytes; UTF-8 has none
            return range(first, first + 1)
        after = start[:-1] + bytes([start[-1] + 1])
        return range(first, bisect_left(self._sorted, after, first, places.stop))

    def __getitem__(self, place: int) -> bytes:
        """The text at a place in the order of texts."""
        return self._sorted[place]

    def __len__(self) -> int:
        return len(self._sorted)

    def ids(self, places: range) -> Ids:
        """The tokens with the texts at these places."""
        return self._ids[places.start : places.stop]

    def containing(self, part: bytes) -> Ids:
        """The tokens whose text contains `part`."""
        found, at = [], self._joined.find(part)
        while at >= 0:
            token = int(np.searchsorted(self._ends, at, side="right"))
            end = int(self._ends[token])
            if at + len(part) <= end:
                found.append(token)
                at = end - 1
            at = self._joined.find(part, at + 1)
        return self._ids[found]
