"""Packs whole texts of many requests into steps, without padding.

It is the scheduler's neighbour in the same loop and thread. Requests take turns, a text each, so that a large one does
not hold up a small one. Texts only ever use the pages that are kept for them.

A text that is longer than a step is cut, where its tokens see none after them, so that generations continue between its
parts. Other texts wait until it ends. Where tokens see later ones, or a mean is over all of them, it gets a step of its
own, however long that takes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from oxillama.engine.failures import STEP_ERRORS, readable
from oxillama.errors import StepCancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from oxillama.core._core import Runner
    from oxillama.engine.embedding.job import Embedding
    from oxillama.models.params.pooling import Pooling

    Step = Callable[
        [npt.NDArray[np.int32], Sequence[int], Sequence[int], npt.NDArray[np.bool_]], npt.NDArray[np.float32]
    ]

Text = tuple["Embedding", int]
"""A request and the number of one of its texts."""


@dataclass(slots=True)
class _Long:
    """A text that is evaluated in parts: its sequence, how many of its tokens were, and the rows that came of them."""

    job: Embedding
    text: int
    seq: int | None = None
    at: int = 0
    rows: list[npt.NDArray[np.float32]] = field(default_factory=list)


class Packer:
    """Runs requests for vectors on a runner. Only one thread at a time may use it, except for `interrupt_if_unwanted`.

    n_tokens: most tokens of a step, except for a longer text where texts are not cut. cuts: whether they are. n_texts:
    most texts of a step. n_pages: pages that are kept for texts. step: `runner.step`, which may free first what nobody
    needs.
    """

    def __init__(
        self, runner: Runner, pooling: Pooling, *, n_tokens: int, cuts: bool, n_texts: int, n_pages: int, step: Step
    ) -> None:
        self._runner = runner
        self._pooling = pooling
        self._n_tokens = n_tokens
        self._cuts = cuts
        self._n_texts = n_texts
        self._n_pages = n_pages
        self._step = step
        self._jobs: deque[Embedding] = deque()  # the next in turn is first
        self._long: _Long | None = None
        self._current: tuple[Embedding, ...] = ()
        self.n_steps = self.n_evaluated = self.n_ended = 0

    @property
    def idle(self) -> bool:
        return not self._jobs

    def add(self, job: Embedding) -> None:
        self._jobs.append(job)

    def drop(self, job: Embedding) -> None:
        """Forget a request in any state. Dropping twice is harmless."""
        if job in self._jobs:
            self._jobs.remove(job)
            self.n_ended += 1
        if self._long is not None and self._long.job is job:
            self._close(self._long)

    def interrupt_if_unwanted(self) -> None:
        """Cancel the current step if all its requests were dropped. May be called from any thread."""
        current = self._current
        if current and all(job.dropped for job in current):
            self._runner.cancel()

    def step(self, most: int | None = None) -> list[Embedding]:
        """Evaluate at most `most` tokens, except where texts are not cut. Returns the requests that have ended.

        No-op when idle.
        """
        budget = min(self._n_tokens, most or self._n_tokens)
        batch = self._pick(budget) if self._long is None else []
        if batch and self._cuts and len(batch[0][0].texts[batch[0][1]]) > budget:  # it has no others beside it
            self._long = _Long(*batch[0])
        elif batch:
            self._evaluate(batch)
        if self._long is not None:
            self._advance(self._long, budget)
        ended = [job for job in self._jobs if job.over]
        for job in ended:
            self.drop(job)
        return ended

    def _pick(self, budget: int) -> list[Text]:
        """Texts for the next step: one of each request in turn, as long as they fit."""
        batch: list[Text] = []
        n_pages = 0
        waiting = deque(job for job in self._jobs if job.waiting)
        while waiting and len(batch) < self._n_texts:
            job = waiting[0]
            n = len(job.texts[job.waiting[0]])
            pages = -(-n // self._runner.page_size)
            if batch and (n > budget or n_pages + pages > self._n_pages):
                break
            budget, n_pages = budget - n, n_pages + pages
            batch.append((job, job.waiting.popleft()))
            waiting.rotate(-1)
            self._jobs.remove(job)
            self._jobs.append(job)
            if not job.waiting:
                waiting.remove(job)
        return batch

    def _evaluate(self, batch: list[Text]) -> None:
        """Evaluate the texts together. If that fails, evaluate them one by one, so that only the faulty one fails."""
        self._current = tuple(job for job, _ in batch)
        try:
            found = self._rows([job.texts[i] for job, i in batch])
        except StepCancelledError:  # nobody wants it, or the cancel was for another step
            for job, i in reversed(batch):
                job.waiting.appendleft(i)
            return
        except STEP_ERRORS as error:
            if len(batch) > 1:
                for text in batch:
                    self._evaluate([text])
            else:
                batch[0][0].error = readable(error, "the text")
            return
        finally:
            self._current = ()
        for (job, i), rows in zip(batch, found, strict=True):
            job.take(i, rows)

    def _rows(self, texts: list[npt.NDArray[np.int32]]) -> list[npt.NDArray[np.float32]]:
        """The rows of each text: one, or one for each token without pooling."""
        counts = [len(text) for text in texts]
        tokens, wanted = np.concatenate(texts), np.concatenate([self._wanted(n) for n in counts])
        seqs: list[int] = []
        try:
            for _ in texts:
                seqs.append(self._runner.seq_open())
            rows = self._run(tokens, seqs, counts, wanted)
        finally:
            for seq in seqs:
                self._runner.seq_close(seq)
        return np.split(rows, np.cumsum([n if self._pooling.rows == "none" else 1 for n in counts])[:-1])

    def _advance(self, long: _Long, budget: int) -> None:
        """Evaluate the next tokens of a text that is evaluated in parts."""
        tokens = long.job.texts[long.text]
        part = slice(long.at, long.at + budget)
        n = len(tokens[part])
        self._current = (long.job,)
        try:
            if long.seq is None:
                long.seq = self._runner.seq_open()
            long.rows.append(self._run(tokens[part], [long.seq], [n], self._wanted(len(tokens))[part]))
        except StepCancelledError:  # nobody wants it, or the cancel was for another step
            return
        except STEP_ERRORS as error:
            long.job.error = readable(error, "the text")
            self._close(long)
            return
        finally:
            self._current = ()
        long.at += n
        if long.at == len(tokens):
            self._close(long)
            long.job.take(long.text, np.concatenate(long.rows))

    def _close(self, long: _Long) -> None:
        self._long = None
        if long.seq is not None:
            self._runner.seq_close(long.seq)

    def _wanted(self, n: int) -> npt.NDArray[np.bool_]:
        """Of which of a text's n tokens rows are wanted. A mean is taken where the last one is."""
        wanted = np.full(n, self._pooling.rows == "none")
        wanted[0 if self._pooling.rows == "cls" else -1] = True
        return wanted

    def _run(
        self, tokens: npt.NDArray[np.int32], seqs: list[int], counts: list[int], wanted: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float32]:
        self._step(tokens, seqs, counts, wanted)
        self.n_steps += 1
        self.n_evaluated += len(tokens)
        return self._pooling.finished(self._runner.embeddings())
