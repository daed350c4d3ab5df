"""The prefix cache: keeps the KV cache of ended requests for requests that begin with the same tokens.

The next turn of a conversation begins with all earlier turns. So the sequence of an ended request stays in the cache,
with the tokens it was computed from, until its pages or its slot are needed. The least recently used one goes first.
Keys and values of a token depend only on the tokens up to it, so results are the same to the last bit with and without
this cache.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from oxillama.core._core import Runner


class PrefixCache:
    """At most `most` sequences of a runner that no request owns. Used between steps, in the thread that runs them."""

    def __init__(self, runner: Runner, most: int) -> None:
        self._runner = runner
        self._most = most
        self._kept: OrderedDict[int, npt.NDArray[np.int32]] = OrderedDict()  # sequence → its tokens, oldest first

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, prompt: npt.NDArray[np.int32]) -> tuple[int, int] | None:
        """A sequence with the longest common prefix with `prompt`, and its number of tokens; None if there is none.

        The sequence then belongs to the caller. It never covers the prompt's last token, whose logits must be computed.
        """
        best, seq = 0, -1
        for kept, tokens in self._kept.items():
            n = _common(tokens, prompt[:-1])
            if n >= best and n > 0:
                best, seq = n, kept
        if not best:
            return None
        if best == len(self._kept[seq]):  # the usual case: the next turn
            del self._kept[seq]
            return seq, best
        self._kept.move_to_end(seq)
        return self._runner.seq_fork(seq, best), best

    def keep(self, seq: int, tokens: npt.NDArray[np.int32]) -> None:
        """Take ownership of a sequence. tokens: what it was computed from, int32 (n,)."""
        if not self._most or not len(tokens):
            self._runner.seq_close(seq)
            return
        for other, known in tuple(self._kept.items()):
            if _common(known, tokens) == len(known):  # a prefix of the new one, so no longer useful
                self._close(other)
        if len(self._kept) >= self._most:
            self.evict()
        self._kept[seq] = tokens

    def evict(self) -> bool:
        """Close the least recently used sequence. Returns False if there is none."""
        if not self._kept:
            return False
        self._close(next(iter(self._kept)))
        return True

    def make_room(self, n_tokens: int) -> None:
        """Close kept sequences until a new sequence of `n_tokens` fits, or none is left."""
        needed = -(-n_tokens // self._runner.page_size)
        while self._runner.free_pages < needed and self.evict():
            pass

    def _close(self, seq: int) -> None:
        del self._kept[seq]
        self._runner.seq_close(seq)


def _common(a: npt.NDArray[np.int32], b: npt.NDArray[np.int32]) -> int:
    """The length of the common prefix of two sequences."""
    n = min(len(a), len(b))
    different = np.flatnonzero(a[:n] != b[:n])
    return int(different[0]) if len(different) else n
