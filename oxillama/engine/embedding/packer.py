"""Packs whole texts of many requests into steps, without padding.

It is the scheduler's neighbour in the same loop and thread. A text is never cut where its tokens see later ones: its
vector comes of one step, after which its pages are free. Requests take turns, a text each, so that a large one does
not hold up a small one. Texts only ever use the pages that are kept for them.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from oxillama.errors import (
    GenerationError,
    InvalidParameterError,
    KVCacheFullError,
    OxillamaError,
    StepCancelledError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from oxillama.core._core import Runner
    from oxillama.engine.embedding.job import Embedding
    from oxillama.models.params.pooling import Pooling

    Step = Callable[
        [npt.NDArray[np.int32], Sequence[int], Sequence[int], npt.NDArray[np.bool_]], npt.NDArray[np.float32]
    ]

log = logging.getLogger(__name__)

_STEP_ERRORS = (GenerationError, InvalidParameterError, KVCacheFullError, MemoryError)
"""Errors that a single text can cause in a step. Any other error is a failure of the engine."""

Text = tuple["Embedding", int]
"""A request and the number of one of its texts."""


class Packer:
    """Runs requests for vectors on a runner. Only one thread at a time may use it, except for `interrupt_if_unwanted`.

    n_tokens: most tokens of a step, except that a longer text gets a step of its own. n_texts: most texts of a step.
    n_pages: pages that are kept for texts. step: `runner.step`, which may free first what nobody needs.
    """

    def __init__(
        self, runner: Runner, pooling: Pooling, *, n_tokens: int, n_texts: int, n_pages: int, step: Step
    ) -> None:
        self._runner = runner
        self._pooling = pooling
        self._n_tokens = n_tokens
        self._n_texts = n_texts
        self._n_pages = n_pages
        self._step = step
        self._jobs: deque[Embedding] = deque()  # the next in turn is first
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

    def interrupt_if_unwanted(self) -> None:
        """Cancel the current step if all its requests were dropped. May be called from any thread."""
        current = self._current
        if current and all(job.dropped for job in current):
            self._runner.cancel()

    def step(self, most: int | None = None) -> list[Embedding]:
        """Evaluate one batch of at most `most` tokens; returns the requests that have ended. No-op when idle."""
        batch = self._pick(min(self._n_tokens, most or self._n_tokens))
        if batch:
            self._evaluate(batch)
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
        except _STEP_ERRORS as error:
            if len(batch) > 1:
                for text in batch:
                    self._evaluate([text])
            else:
                batch[0][0].error = _readable(error)
            return
        finally:
            self._current = ()
        for (job, i), rows in zip(batch, found, strict=True):
            job.take(i, rows)

    def _rows(self, texts: list[npt.NDArray[np.int32]]) -> list[npt.NDArray[np.float32]]:
        """The rows of each text: one, or one for each token without pooling."""
        runner, kind = self._runner, self._pooling.rows
        counts = [len(text) for text in texts]
        tokens = np.concatenate(texts)
        ends = np.cumsum(counts)
        flags = np.full(len(tokens), kind == "none")
        flags[ends - counts if kind == "cls" else ends - 1] = True
        seqs: list[int] = []
        rows: list[npt.NDArray[np.float32]] = []
        try:
            for _ in texts:
                seqs.append(runner.seq_open())
            for at in range(0, len(tokens), runner.n_batch):  # more than one turn only for a long text of a decoder
                part = slice(at, at + runner.n_batch)
                here = counts if len(seqs) > 1 else [len(tokens[part])]
                self._step(tokens[part], seqs, here, flags[part])
                rows.append(self._pooling.finished(runner.embeddings()))
        finally:
            for seq in seqs:
                runner.seq_close(seq)
        self.n_steps += 1
        self.n_evaluated += len(tokens)
        return np.split(np.concatenate(rows), np.cumsum([n if kind == "none" else 1 for n in counts])[:-1])


def _readable(error: Exception) -> OxillamaError:
    if isinstance(error, OxillamaError):
        return error
    log.error("a text failed", exc_info=error)
    return GenerationError(f"the text failed: {type(error).__name__}: {error}")
