"""Keys and values of requests that have ended, for requests that begin with the same tokens.

A conversation's next turn begins with all of the turns before it. So the sequence of a request that has ended stays in
the cache, with the tokens it was computed from, until its pages or its place are needed: the longest unused goes first.
What is computed for a token depends on the tokens before it alone, so a result is the same to the last bit whether its
prompt was computed or found here.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from oxillama.core._core import Runner


class PrefixCache:
    """At most `most` sequences of a runner that no request owns. Used between steps, in the thread that steps."""

    def __init__(self, runner: Runner, most: int) -> None:
        self._runner = runner
        self._most = most
        self._kept: OrderedDict[int, npt.NDArray[np.int32]] = OrderedDict()  # sequence → its tokens, oldest first

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, prompt: npt.NDArray[np.int32]) -> tuple[int, int] | None:
        """A sequence that begins as `prompt` does, now the caller's, and how many tokens it has; None: there is none.

        At least the prompt's last token is left to compute, since nothing else gives its logits.
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
        """Take a sequence over, with the tokens it was computed from."""
        if not self._most or not len(tokens):
            self._runner.seq_close(seq)
            return
        for other, known in tuple(self._kept.items()):
            if _common(known, tokens) == len(known):  # says nothing that the new one does not
                self._close(other)
        if len(self._kept) >= self._most:
            self.evict()
        self._kept[seq] = tokens

    def evict(self) -> bool:
        """Give up what has not been used for the longest time; False: there is nothing."""
        if not self._kept:
            return False
        self._close(next(iter(self._kept)))
        return True

    def make_room(self, n_tokens: int) -> None:
        """Give up kept sequences until a new one of `n_tokens` fits."""
        needed = -(-n_tokens // self._runner.page_size)
        while self._runner.free_pages < needed and self.evict():
            pass

    def _close(self, seq: int) -> None:
        del self._kept[seq]
        self._runner.seq_close(seq)


def _common(a: npt.NDArray[np.int32], b: npt.NDArray[np.int32]) -> int:
    """How many tokens two sequences begin with in common."""
    n = min(len(a), len(b))
    different = np.flatnonzero(a[:n] != b[:n])
    return int(different[0]) if len(different) else n
