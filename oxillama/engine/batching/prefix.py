"""The prefix cache: finds sequences whose keys and values serve the beginning of another prompt.

A prompt often begins as earlier ones do: with the same instructions, with the earlier turns of a conversation. Keys and
values of a token depend only on the tokens up to it, so any sequence with these tokens will do: one that a request is
computing now, or the idle one of a request that has ended. Pages of the KV cache are shared, and copied when one of the
sequences writes into them. Results are the same to the last bit with and without this cache.

Idle sequences stay until their pages or slots are needed. The least recently used one goes first, from its end.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxillama.engine.batching.radix import RadixTree
from oxillama.errors import KVCacheFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    import numpy as np
    import numpy.typing as npt

    from oxillama.core._core import Runner
    from oxillama.engine.decoding.generation import Generation
    from oxillama.engine.ticket import Ticket

    Tokens = npt.NDArray[np.int32]


EVICTED_SHARE = 8
"""1/EVICTED_SHARE of a sequence's pages is dropped at once: few if few are needed, and few turns if many are."""


@dataclass(eq=False, slots=True)
class Idle:
    """A sequence that no request owns, with all of its tokens computed."""

    seq: int
    n_computed: int


@dataclass(frozen=True, slots=True)
class Match:
    """What the cache has for a prompt.

    `source` can be continued after the prompt's first n tokens; None if n is 0. `ahead`, if not None, is going to
    compute its first `until` tokens, which are more. common: its longest beginning that any sequence has, too.
    """

    n: int = 0
    source: Generation | Idle | None = None
    until: int = 0
    ahead: Ticket | None = None
    common: int = 0


class PrefixCache:
    """The sequences of a runner by their tokens: those of running requests, and at most `most` idle ones.

    Used between steps, in the thread that runs them.
    """

    def __init__(self, runner: Runner, most: int) -> None:
        self._runner = runner
        self._most = most
        self._tree: RadixTree[Generation | Idle] = RadixTree()
        self._idle: OrderedDict[Idle, None] = OrderedDict()  # least recently used first

    @property
    def n_idle(self) -> int:
        return len(self._idle)

    def enter(self, generation: Generation) -> None:
        """Let others find what a running request has computed and is going to compute. Entering twice is harmless."""
        if generation not in self._tree:
            self._tree.add(generation, generation.known_tokens(), generation.cache_key)

    def leave(self, generation: Generation) -> None:
        """Forget a running request. Its sequence stays its own."""
        self._tree.remove(generation)

    def find(self, generation: Generation, may_wait: Callable[[Ticket], bool], worth: int) -> Match:
        """The longest beginning of a request's tokens that is computed, and a longer one that is going to be.

        The request's last token is left out, since its logits must be computed. may_wait: whether the request may wait
        for a running one, if that saves it `worth` tokens.
        """
        n, source, until, ahead, longest = 0, None, 0, None, 0
        for common, other in self._tree.matches(generation.known_tokens()[:-1], generation.cache_key):
            if common <= n:
                break
            if other is generation:
                continue
            longest = max(longest, common)
            computed = min(common, other.n_computed)
            if computed > n and other.seq is not None:
                usable = self._runner.seq_reusable(other.seq, computed)
                if usable > n:
                    n, source = usable, other
            if common > max(until, other.n_computed) and not isinstance(other, Idle) and may_wait(other.ticket):
                until, ahead = common, other.ticket
        return Match(n, source, until, ahead, longest) if until - n >= worth else Match(n, source, common=longest)

    def take(self, match: Match) -> int:
        """The sequence with the tokens of a match, which belongs to the caller. Raises MemoryError."""
        source = match.source
        assert source is not None
        assert source.seq is not None
        if not isinstance(source, Idle):
            return self._runner.seq_fork(source.seq, match.n)
        if match.n == source.n_computed:  # the usual case: the next turn of a conversation
            self._forget(source)
            return source.seq
        self._idle.move_to_end(source)
        return self._runner.seq_fork(source.seq, match.n)

    def keep(self, seq: int, tokens: Tokens, key: Hashable) -> None:
        """Take ownership of a sequence. tokens: what it was computed from, int32 (n,)."""
        known = [(n, idle) for n, idle in self._tree.matches(tokens, key) if isinstance(idle, Idle)]
        for n, idle in known:
            if n == len(tokens) == self._runner.seq_reusable(idle.seq, n):  # it serves all that the new one would
                self._idle.move_to_end(idle)
                self._runner.seq_close(seq)
                return
            if n == idle.n_computed == self._runner.seq_reusable(seq, n):
                self._close(idle)
        if not self._most or not len(tokens):
            self._runner.seq_close(seq)
            return
        if len(self._idle) >= self._most:
            self._close(next(iter(self._idle)))
        added = Idle(seq, len(tokens))
        self._idle[added] = None
        self._tree.add(added, tokens, key)

    def evict(self) -> bool:
        """Drop the last pages of the least recently used idle sequence. Returns False if there is none.

        Pages that it shares do not become free by that.
        """
        if not self._idle:
            return False
        idle, size = next(iter(self._idle)), self._runner.page_size
        n_pages = -(-idle.n_computed // size)
        rest = self._runner.seq_reusable(idle.seq, (n_pages - max(1, n_pages // EVICTED_SHARE)) * size)
        if not rest:
            self._close(idle)
            return True
        tokens, key = self._tree.entry(idle)
        self._tree.remove(idle)
        self._runner.seq_truncate(idle.seq, rest)
        idle.n_computed = rest
        self._tree.add(idle, tokens[:rest], key)
        return True

    def step(
        self,
        tokens: npt.NDArray[np.int32],
        seqs: Sequence[int],
        counts: Sequence[int],
        outputs: npt.NDArray[np.bool_],
    ) -> npt.NDArray[np.float32]:
        """`Runner.step`. Idle sequences are evicted as long as they hold what it needs: pages, windows or states."""
        while True:
            try:
                return self._runner.step(tokens, seqs, counts, outputs)
            except KVCacheFullError:
                if not self.evict():
                    raise

    def _forget(self, idle: Idle) -> None:
        del self._idle[idle]
        self._tree.remove(idle)

    def _close(self, idle: Idle) -> None:
        self._forget(idle)
        self._runner.seq_close(idle.seq)
