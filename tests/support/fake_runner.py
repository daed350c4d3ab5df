"""A runner without weights. It has the contract of `oxillama.core.Runner`, and asserts that callers keep it.

The next token depends on every token of the sequence and on nothing else. So a mixed-up sequence, a lost token or a
stale row of logits changes the text.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from oxillama.core._core import ThreadPool
from oxillama.errors import GenerationError, InvalidParameterError, KVCacheFullError, StepCancelledError

N_EMBD = 8


def hashed(tokens: Sequence[int], n_vocab: int) -> int:
    """The default rule for the next token: a hash of all earlier ones, never a control token of the fake tokenizer."""
    state = 17
    for token in tokens:
        state = (state * 1_000_003 + token + 1) % 2_147_483_647
    return 3 + state % (n_vocab - 3)


class FakeRunner:
    """With greedy sampling, the next token is `next_token(tokens so far, n_vocab)`.

    poison: a step with this token fails with a GenerationError. nan: after this token all logits are NaN. crash: a step
    with this token raises `crash_with`, a failure of the runner itself. gate: each step waits for one `gate.release()`
    or for `cancel`. any_position: False as for a model with recurrent states, whose sequences are cut and forked only
    at their end and at `most_checkpoints` checkpoints.
    """

    def __init__(
        self,
        *,
        n_vocab: int = 259,
        n_batch: int = 16,
        page_size: int = 4,
        n_pages: int = 64,
        next_token: Callable[[Sequence[int], int], int] = hashed,
        poison: int | None = None,
        nan: int | None = None,
        crash: int | None = None,
        crash_with: Exception | None = None,
        gate: threading.Semaphore | None = None,
        any_position: bool = True,
        most_checkpoints: int = 4,
    ) -> None:
        self.n_vocab, self.n_batch, self.page_size, self.n_pages = n_vocab, n_batch, page_size, n_pages
        self.n_embd = N_EMBD
        self.n_threads = 2
        self.pool: ThreadPool | None = None
        self.next_token = next_token
        self.poison, self.nan, self.crash, self.gate = poison, nan, crash, gate
        self.crash_with = crash_with or RuntimeError("the scripted crash")
        self.sequences: dict[int, list[int]] = {}
        self.tables: dict[int, list[int]] = {}  # the pages of each sequence
        self.checkpoints: dict[int, list[int]] = {}  # of each sequence, the latest last
        self.any_position, self.most_checkpoints = any_position, most_checkpoints
        self.references = [0] * n_pages  # how many sequences hold each page
        self.batches: list[list[int]] = []  # the counts of each step that succeeded
        self.in_step = threading.Event()
        self.closed = False
        self._cancelled = False
        self._stepping = threading.Lock()
        self._logits = np.empty((n_batch, n_vocab), np.float32)
        self._hidden = np.empty((n_batch, N_EMBD), np.float32)

    @property
    def free_pages(self) -> int:
        return self.references.count(0)

    def _pages(self, n_tokens: int) -> int:
        return -(-n_tokens // self.page_size)

    def seq_open(self) -> int:
        seq = min(set(range(len(self.sequences) + 1)) - set(self.sequences))
        self.sequences[seq], self.tables[seq], self.checkpoints[seq] = [], [], []
        return seq

    def seq_close(self, seq: int) -> None:
        assert not self._stepping.locked(), "a sequence was closed during a step"
        for page in self.tables.pop(seq):
            self.references[page] -= 1
        del self.sequences[seq], self.checkpoints[seq]

    def seq_fork(self, seq: int, n_tokens: int) -> int:
        assert n_tokens == self.seq_reusable(seq, n_tokens)
        fork = self.seq_open()
        self.checkpoints[fork] = [n for n in self.checkpoints[seq] if n <= n_tokens]
        self.sequences[fork] = self.sequences[seq][:n_tokens]
        self.tables[fork] = self.tables[seq][: self._pages(n_tokens)]
        assert len(self.sequences[fork]) == n_tokens
        for page in self.tables[fork]:
            self.references[page] += 1
        return fork

    def seq_truncate(self, seq: int, n_tokens: int) -> None:
        assert n_tokens == self.seq_reusable(seq, n_tokens)
        self.checkpoints[seq] = [n for n in self.checkpoints[seq] if n <= n_tokens]
        del self.sequences[seq][n_tokens:]
        while len(self.tables[seq]) > self._pages(n_tokens):
            self.references[self.tables[seq].pop()] -= 1

    def seq_reusable(self, seq: int, n_tokens: int) -> int:
        assert n_tokens <= len(self.sequences[seq])
        if self.any_position:
            return n_tokens
        return max(n for n in (0, len(self.sequences[seq]), *self.checkpoints[seq]) if n <= n_tokens)

    def seq_checkpoint(self, seq: int) -> bool:
        assert not self.any_position, "there is nothing to keep"
        kept = [n for n in self.checkpoints[seq] if n != len(self.sequences[seq])]
        self.checkpoints[seq] = [*kept, len(self.sequences[seq])][-self.most_checkpoints :]
        return True

    def seq_pages(self, seq: int) -> list[int]:
        return list(self.tables[seq])

    def _extend(self, seqs: Sequence[int], counts: Sequence[int]) -> None:
        """Give the sequences pages for more tokens, all or none. Shared pages are copied before they are written."""
        before = {seq: list(self.tables[seq]) for seq in seqs}, list(self.references)
        for seq, count in zip(seqs, counts, strict=True):
            table, n = self.tables[seq], len(self.sequences[seq])
            if n % self.page_size and self.references[table[-1]] > 1:
                self.references[table.pop()] -= 1
            while len(table) < self._pages(n + count):
                if 0 not in self.references:
                    self.tables |= before[0]
                    self.references = before[1]
                    raise KVCacheFullError("no free KV pages")
                table.append(self.references.index(0))
                self.references[table[-1]] = 1

    def seq_len(self, seq: int) -> int:
        return len(self.sequences[seq])

    def cancel(self) -> None:
        self._cancelled = True
        if self.gate is not None:
            self.gate.release()

    def close(self) -> None:
        assert not self._stepping.locked(), "the runner was closed during a step"
        self.closed = True

    def step(self, tokens: Any, seqs: Sequence[int], counts: Sequence[int], outputs: Any) -> Any:
        assert not self.closed
        assert self._stepping.acquire(blocking=False), "two steps at once"
        try:
            return self._step(tokens, seqs, counts, outputs)
        finally:
            self.in_step.clear()
            self._stepping.release()

    def _step(self, tokens: Any, seqs: Sequence[int], counts: Sequence[int], outputs: Any) -> Any:
        assert len(tokens) == len(outputs) == sum(counts) <= self.n_batch
        assert len(set(seqs)) == len(seqs) == len(counts)
        assert all(count >= 1 for count in counts)
        self._logits.fill(np.nan)  # for callers that still read the last step's rows
        self.in_step.set()
        if self.gate is not None:
            self.gate.acquire()
        if self._cancelled:  # before or during the step
            self._cancelled = False
            raise StepCancelledError("the step was cancelled")
        if any(not 0 <= t < self.n_vocab for t in tokens):
            raise InvalidParameterError("a token id is out of range")
        if self.crash is not None and self.crash in tokens:
            raise self.crash_with
        if self.poison is not None and self.poison in tokens:
            raise GenerationError("the scripted failure")
        self._extend(seqs, counts)
        at = row = 0
        for seq, count in zip(seqs, counts, strict=True):
            history = self.sequences[seq]
            for _ in range(count):
                history.append(int(tokens[at]))
                if outputs[at]:
                    self._logits[row] = self._row(history)
                    self._hidden[row] = np.arange(N_EMBD) + sum(history)
                    row += 1
                at += 1
        self.batches.append(list(counts))
        return self._logits[:row]

    def embeddings(self) -> Any:
        return self._hidden

    def _row(self, history: list[int]) -> Any:
        if history[-1] == self.nan:
            return np.full(self.n_vocab, np.nan, np.float32)
        best = self.next_token(history, self.n_vocab)
        row = -np.abs(np.arange(self.n_vocab, dtype=np.float32) - best) / 8
        row[best] = 3.0
        return row


def parrot(reply: Sequence[int], n_prompt: int) -> Callable[[Sequence[int], int], int]:
    """A rule for the next token that repeats `reply` without end after any prompt of n_prompt tokens."""
    return lambda tokens, _: reply[(len(tokens) - n_prompt) % len(reply)]


def bundle(runner: FakeRunner, *, n_ctx: int = 64, n_slots: int = 4, tokenizer: Any = None, text: bool = True) -> Any:
    """The parts of an `Engine` or `Model` with a fake runner. text=False: a model without a vocabulary."""
    from oxillama.engine.decoding.vocabulary import Vocabulary
    from oxillama.engine.loading import ModelBundle
    from tests.support.fake_engine import FakeChatTemplate, FakeTokenizer

    tokenizer = tokenizer or FakeTokenizer() if text else None
    return ModelBundle(
        runner=cast("Any", runner),
        tokenizer=tokenizer,
        chat_template=FakeChatTemplate() if text else None,
        n_ctx=n_ctx,
        n_slots=n_slots,
        n_prefill_shared=runner.n_batch,
        name="fake",
        created=0,
        vocabulary=Vocabulary(tokenizer, runner.n_vocab),
    )
