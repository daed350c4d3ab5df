"""A model in the caller's own thread: for scripts, notebooks and numpy."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from oxillama.engine.api.config import EngineConfig
from oxillama.engine.api.embedding import EmbeddingRequest, check_finite, finished
from oxillama.engine.api.types import GenerationRequest, SamplingParams, TokenEvent
from oxillama.engine.batching.stepper import Stepper
from oxillama.engine.decoding.generation import Generation
from oxillama.engine.embedding.job import Embedding
from oxillama.engine.loading import ModelBundle, load_bundle
from oxillama.engine.requests.check import check_ids, check_request
from oxillama.engine.requests.embedding import (
    as_texts,
    check_embedding,
    check_generates,
    check_pooling,
    check_reranks,
    pair_ids,
    vector_ids,
)
from oxillama.engine.requests.prompts import text_ids
from oxillama.errors import ContextLengthError, EngineClosedError, GenerationError, InvalidParameterError, OxillamaError

if TYPE_CHECKING:
    from os import PathLike

    import numpy.typing as npt

    from oxillama.engine.api.config import Progress
    from oxillama.engine.api.constraint import Constraint
    from oxillama.engine.api.embedding import Embedder
    from oxillama.engine.api.protocol import TokenizerLike
    from oxillama.engine.api.sampling import SamplerSettings
    from oxillama.engine.api.types import SamplerParams
    from oxillama.models import ModelDescription

Pooling = Literal["mean", "last", "cls", "none"]
Texts = str | Sequence[int]
"""A text, or its token ids."""


class Model:
    """A loaded GGUF model. `oxillama.Model` adds conversations (chat/model.py). Threads may share one; they take turns.

        with Model("model.gguf") as model:
            for piece in model.generate("Once upon a time", SamplingParams(temperature=0, max_tokens=50)):
                print(piece, end="")

    Generations run in the same loop as the server's. Several iterators may be open at once: whichever is read from
    advances all of them together.
    """

    def __init__(
        self,
        path: str | PathLike[str] | None = None,
        *,
        n_threads: int | None = None,
        cpu_affinity: tuple[int, ...] | None = None,
        n_ctx: int | None = None,
        n_batch: int = 512,
        kv_type: str = "auto",
        pooling: str | None = None,
        parallel: int = 1,
        sampling: SamplerParams | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Load it; None is the demonstration model that comes with the package. The rest is as in EngineConfig.

        Raises OSError, ModelFormatError or ModelUnsupportedError for the file, InvalidParameterError for the rest.
        """
        config = EngineConfig(
            n_threads=n_threads,
            cpu_affinity=cpu_affinity,
            n_ctx=n_ctx,
            n_batch=n_batch,
            kv_type=kv_type,
            pooling=pooling,
            parallel=parallel,
            sampling=sampling,
        )
        if path is None:
            from oxillama.embedded import model_path

            path = model_path()
        self._start(load_bundle(path, config, spare=True, progress=progress))

    @classmethod
    def of(cls, bundle: ModelBundle) -> Self:
        """A model that is already loaded; closing this one closes it."""
        model = cls.__new__(cls)
        model._start(bundle)
        return model

    def _start(self, bundle: ModelBundle) -> None:
        self._bundle = bundle
        self._stepper = Stepper(bundle.runner, bundle.new_scheduler(), n_kept=bundle.n_kept)
        self._packer = bundle.new_packer(self._stepper)
        self._lock = threading.Lock()
        self._ready: dict[Generation, deque[TokenEvent | OxillamaError]] = {}
        self._left: deque[Generation] = deque()  # by readers that could not wait for the lock
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free weights and cache; iterators still open raise EngineClosedError. Closing twice is harmless."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._stepper.close()
                self._bundle.close()

    # ------------------------------------------------------------------------------------------------- facts

    @property
    def n_ctx(self) -> int:
        """The maximum number of tokens of one sequence."""
        return self._bundle.n_ctx

    @property
    def n_vocab(self) -> int:
        return self._bundle.vocabulary.n_vocab

    @property
    def n_embd(self) -> int:
        return self._bundle.runner.n_embd

    @property
    def embedder(self) -> Embedder:
        """What the model was opened to give for texts."""
        return self._bundle.embedder

    @property
    def metadata(self) -> dict[str, Any]:
        """The file's metadata, as stored."""
        return dict(self._bundle.gguf.metadata) if self._bundle.gguf is not None else {}

    @property
    def description(self) -> ModelDescription:
        """Architecture, shapes and sizes."""
        from oxillama.models import describe_model

        if self._bundle.gguf is None:
            raise OxillamaError(f"{self._bundle.name} was not made from a file")
        return describe_model(self._bundle.gguf)

    @property
    def sampling_defaults(self) -> SamplerSettings:
        """The sampling defaults: the file's recommendations, else the usual values."""
        return self._bundle.sampling

    @property
    def tokenizer(self) -> TokenizerLike:
        """Raises OxillamaError for a model without a vocabulary, which works on token ids alone."""
        if self._bundle.tokenizer is None:
            raise OxillamaError(f"{self._bundle.name} has no vocabulary; give it token ids")
        return self._bundle.tokenizer

    @property
    def chat_template(self) -> Any:
        """`oxillama.text.ChatTemplate`; None for a model without a vocabulary."""
        return self._bundle.chat_template

    # -------------------------------------------------------------------------------------------------- text

    def tokenize(self, text: str, add_special: bool = True, parse_special: bool = False) -> list[int]:
        """Token ids of a text. add_special: with the tokens the model wants at its ends; parse_special: texts of
        control tokens become those tokens."""
        return self.tokenizer.encode(text, add_special, parse_special)

    def detokenize(self, ids: Sequence[int]) -> bytes:
        """The text of the tokens, as bytes because it need not be valid UTF-8."""
        return self.tokenizer.decode(ids)

    def generate(
        self, prompt: Texts, sampling: SamplingParams | None = None, constraint: Constraint | None = None
    ) -> Iterator[str]:
        """The pieces of text that follow a prompt, as they are generated. See `events`."""
        return (event.text for event in self.events(prompt, sampling, constraint) if event.text)

    def compile_grammar(self, text: str, *, foreign: bool = False) -> Constraint:
        """A constraint for `generate`; see `EngineLike.compile_grammar`. The first takes about a second more."""
        return self._bundle.vocabulary.grammars.compile(text, foreign=foreign)

    def events(
        self, prompt: Texts, sampling: SamplingParams | None = None, constraint: Constraint | None = None
    ) -> Iterator[TokenEvent]:
        """The events of one generation. Closing the iterator ends it.

        prompt: token ids, or a text, in which the texts of control tokens count as those tokens. constraint: what the
        completion may consist of.

        Raises ContextLengthError or InvalidParameterError at once; reading raises GenerationError.
        """
        ids = text_ids(self.tokenizer, prompt) if isinstance(prompt, str) else tuple(map(int, prompt))
        return self._start_request(
            GenerationRequest(prompt_ids=ids, sampling=sampling or SamplingParams(), constraint=constraint)
        )

    def _start_request(self, request: GenerationRequest) -> Generator[TokenEvent, None, None]:
        bundle = self._bundle
        check_generates(bundle.embedder, bundle.name)
        check_request(request, n_ctx=self.n_ctx, n_vocab=self.n_vocab, has_text=bundle.tokenizer is not None)
        return self._run(request)

    def _run(self, request: GenerationRequest) -> Generator[TokenEvent, None, None]:
        generation = Generation(
            request,
            self._bundle.vocabulary,
            self._bundle.sampling,
            n_ctx=self.n_ctx,
            now=time.monotonic(),
            limit_s=float("inf"),
        )
        ready: deque[TokenEvent | OxillamaError] = deque()
        with self._lock:
            self._check_open()
            self._ready[generation] = ready
            self._stepper.add(generation)
        try:
            while True:
                with self._lock:
                    while not ready:
                        self._check_open()
                        self._step()
                item = ready.popleft()
                if isinstance(item, OxillamaError):
                    raise item
                yield item
                if item.finish_reason is not None:
                    return
        finally:
            # The garbage collector may close an iterator anywhere, even inside a step of this very thread.
            self._left.append(generation)
            if self._lock.acquire(blocking=False):
                try:
                    self._let_go()
                finally:
                    self._lock.release()

    def _step(self) -> None:
        self._let_go()
        try:
            outcomes = self._stepper.step()
        except BaseException:  # such as Ctrl-C: the sequences of the step are in an unknown state, the others are not
            for generation, ready in self._ready.items():
                self._stepper.drop(generation, keep=False)
                ready.append(GenerationError("the generation was interrupted"))
            raise
        for generation, item in outcomes:
            if generation in self._ready:
                self._ready[generation].append(item)

    def _let_go(self) -> None:
        while self._left:
            generation = self._left.popleft()
            self._ready.pop(generation, None)
            if not self._closed:
                self._stepper.drop(generation)

    def _check_open(self) -> None:
        if self._closed:
            raise EngineClosedError("the model has been closed")

    # ----------------------------------------------------------------------------------------------- numbers

    def logits(self, ids: Sequence[int] | npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float32]:
        """The logits after every token of a new sequence: [len(ids), n_vocab].

        Raises ContextLengthError or InvalidParameterError.
        """
        out = np.empty((len(ids), self.n_vocab), np.float32)
        at = 0
        for rows, _ in self._evaluate(ids, np.ones(len(ids), np.bool_)):
            out[at : at + len(rows)] = rows
            at += len(rows)
        return out

    def embed(
        self,
        texts: Texts | Sequence[Texts],
        *,
        pooling: Pooling | None = None,
        normalize: bool = True,
        dimensions: int | None = None,
    ) -> npt.NDArray[np.float32]:
        """Vectors [n, width] of several texts; [width] of one. A text may be given as token ids.

        pooling: how the states of a text's tokens become its vector: "mean", the "last", the first ("cls"), or "none":
        a row for each token, of one text only. None: as the model was opened, else "mean". normalize: vectors of length
        1. dimensions: the first columns only, for models that were trained for that. A model opened with pooling "rank"
        gives scores instead. Many texts share a step, and each gets the bits that it would get alone.

        Raises ContextLengthError or InvalidParameterError, naming the text; GenerationError for vectors that are not
        finite.
        """
        one, given = as_texts(texts)
        ids = [vector_ids(self.tokenizer, text) if isinstance(text, str) else text for text in given]
        names = ("texts",) if one else tuple(f"texts[{i}]" for i in range(len(ids)))
        embedder = self._bundle.embedder
        check_pooling(embedder, pooling)
        if embedder.pooling is None:
            embedder = replace(embedder, pooling=pooling or "mean", width=self.n_embd, max_tokens=self.n_ctx)
        if embedder.pooling == "none" and not one:
            raise InvalidParameterError("Invalid 'texts': without pooling only one at a time.", param="texts")
        request = EmbeddingRequest(texts=tuple(ids), params=names, normalize=normalize, dimensions=dimensions)
        check_embedding(request, embedder, n_vocab=self.n_vocab, model=self._bundle.name)
        if self._bundle.embedder.pooling is None:
            rows = [self._pooled(text, embedder.pooling or "mean") for text in request.texts]
            for row, name in zip(rows, names, strict=True):
                check_finite(row, name)
        else:
            rows = self._packed(request)
        rows = finished(rows, embedder, normalize=normalize, dimensions=dimensions)
        vectors = np.concatenate(rows)
        return vectors[0] if one and embedder.pooling != "none" else vectors

    def rerank(self, query: str, documents: Sequence[str]) -> npt.NDArray[np.float32]:
        """How well each document answers the query: the scores [n] of a model with a classification head for that.

        Raises ContextLengthError or InvalidParameterError, naming the document; GenerationError for scores that are
        not finite.
        """
        embedder = self._bundle.embedder
        check_reranks(embedder, self._bundle.name)
        pairs = tuple(pair_ids(self.tokenizer, embedder, query, document) for document in documents)
        request = EmbeddingRequest(texts=pairs, params=tuple(f"documents[{i}]" for i in range(len(pairs))))
        check_embedding(request, embedder, n_vocab=self.n_vocab, model=self._bundle.name)
        return np.array([row[0, 0] for row in self._packed(request)], np.float32)

    def _packed(self, request: EmbeddingRequest) -> list[npt.NDArray[np.float32]]:
        job = Embedding(request)
        with self._lock:
            self._check_open()
            self._let_go()
            self._packer.add(job)
            try:
                while not job.over:
                    self._packer.step()
            finally:
                self._packer.drop(job)
        if job.error is not None:
            raise job.error
        return job.rows

    def _pooled(self, ids: Sequence[int], pooling: str) -> npt.NDArray[np.float32]:
        """The row of a text of a model that was opened to generate; without pooling a row for each token."""
        wanted = np.full(len(ids), pooling in ("mean", "none"), np.bool_)
        if pooling in ("last", "cls"):
            wanted[-1 if pooling == "last" else 0] = True
        states = np.concatenate([hidden for _, hidden in self._evaluate(ids, wanted)])
        if pooling != "mean":
            return states
        mean: npt.NDArray[np.float32] = states.mean(axis=0, dtype=np.float64, keepdims=True).astype(np.float32)
        return mean

    def _evaluate(
        self, ids: Sequence[int] | npt.NDArray[np.integer[Any]], wanted: npt.NDArray[np.bool_]
    ) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
        """(logits, hidden states) of the wanted positions, a batch at a time; the logits are valid until the next."""
        tokens = [int(i) for i in ids]
        if not tokens:
            raise InvalidParameterError("Invalid 'ids': there are no tokens.", param="ids")
        check_ids(tokens, self.n_vocab, "ids")
        if len(tokens) > self.n_ctx:
            raise ContextLengthError(
                f"This model's maximum context length is {self.n_ctx} tokens, not {len(tokens)}.", param="ids"
            )
        runner, row = self._bundle.runner, np.array(tokens, np.int32)
        with self._lock:
            self._check_open()
            self._let_go()
            seq = runner.seq_open()
            try:
                for start in range(0, len(row), runner.n_batch):
                    chunk = slice(start, start + runner.n_batch)
                    flags = np.ascontiguousarray(wanted[chunk])
                    rows = self._stepper.prefix.step(row[chunk], [seq], [len(row[chunk])], flags)
                    yield rows, runner.embeddings()[: len(rows)].copy()
            finally:
                runner.seq_close(seq)
