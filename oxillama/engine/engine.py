"""The engine for servers: requests in, streams of events out, and one compute thread behind them.

Two queues join the sides. Commands go down a `SimpleQueue`; the compute thread takes all that lie there before it plans
a step, and sleeps on it when there is nothing to do. Events come up once per step, all of a step's together, through
`run_sync_soon`. The event loop never waits for a step, and a step never waits for a reader: what a reader has not taken
lies in its stream, and there can be no more of it than the request's tokens.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from oxillama.concurrency import Offload, in_thread
from oxillama.engine.api.config import EngineConfig
from oxillama.engine.api.embedding import finished
from oxillama.engine.api.types import EngineStatistics, GenerationRequest
from oxillama.engine.batching.stepper import Outcome, Stepper
from oxillama.engine.decoding.generation import Generation
from oxillama.engine.embedding.job import Embedding
from oxillama.engine.requests.check import check_request
from oxillama.engine.requests.embedding import check_embedding, check_generates
from oxillama.engine.stream import EngineStream
from oxillama.errors import EngineBusyError, EngineClosedError, OxillamaError

if TYPE_CHECKING:
    from os import PathLike

    import numpy as np
    import numpy.typing as npt

    from oxillama.engine.api.config import Progress
    from oxillama.engine.api.constraint import Constraint
    from oxillama.engine.api.embedding import Embedder, EmbeddingRequest
    from oxillama.engine.api.protocol import TokenizerLike
    from oxillama.engine.api.sampling import SamplerSettings
    from oxillama.engine.loading import ModelBundle
    from oxillama.text import PromptText

T = TypeVar("T")
log = logging.getLogger(__name__)

ENCODING_THREADS = 4
COMPILING_THREADS = 2
RENDERING_THREADS = 4
"""As many as there are rendering processes, so that requests wait here, where a wait can be cancelled."""
LONG_TEXT = 4096
"""Characters beyond which a text is tokenized in a worker thread: about a millisecond's work."""


class Engine:
    """A loaded model that serves many requests at once. Made by `open`; all methods belong to its trio thread."""

    def __init__(self, bundle: ModelBundle, config: EngineConfig) -> None:
        """Use `open` or `serve` instead, which also start and stop the compute thread."""
        self._bundle = bundle
        self._config = config
        self._stepper = Stepper(bundle.runner, bundle.new_scheduler(), n_kept=bundle.n_kept)
        self._packer = bundle.new_packer(self._stepper)
        self._commands: queue.SimpleQueue[tuple[str, Generation | Embedding | None]] = queue.SimpleQueue()
        self._embeddings: dict[Embedding, trio.Event] = {}  # of the requests for vectors that have not ended
        self._streams: dict[Generation, EngineStream] = {}  # of the generations that have not ended
        self._idle = trio.Event()
        self._idle.set()
        self._draining = False
        self._stopped = trio.Event()
        self._failure: str | None = None
        self._mean_s = 1.0  # how long generations have taken lately
        self._encode = Offload(ENCODING_THREADS)
        self._render = Offload(RENDERING_THREADS)
        self._compile = Offload(COMPILING_THREADS)
        self._trio = trio.lowlevel.current_trio_token()
        self._thread = threading.Thread(target=self._compute, name="oxillama-compute", daemon=True)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: str | PathLike[str], config: EngineConfig | None = None, *, progress: Progress | None = None
    ) -> AsyncIterator[Engine]:
        """Load a model and run it until the block is left; running requests then end with EngineClosedError.

        progress: called from another thread with the share of the weights that is ready, 0 to 1.

        Raises OSError, ModelFormatError or ModelUnsupportedError for the file, InvalidParameterError for the config.
        """
        from oxillama.engine.loading import load_bundle

        config = config or EngineConfig()
        bundle = await in_thread(load_bundle, path, config, progress=progress)
        async with cls.serve(bundle, config) as engine:
            yield engine

    @classmethod
    @asynccontextmanager
    async def serve(cls, bundle: ModelBundle, config: EngineConfig | None = None) -> AsyncIterator[Engine]:
        """Run a model that is already loaded. The engine owns and closes it."""
        engine = cls(bundle, config or EngineConfig())
        engine._thread.start()
        try:
            yield engine
        finally:
            with trio.CancelScope(shield=True):
                await engine._close()

    @property
    def tokenizer(self) -> TokenizerLike:
        """Raises OxillamaError for a model without a vocabulary, which is prompted with token ids."""
        if self._bundle.tokenizer is None:
            raise OxillamaError(f"{self.model_name} has no vocabulary; prompt it with token ids")
        return self._bundle.tokenizer

    @property
    def chat_template(self) -> Any:
        return self._bundle.chat_template

    @property
    def n_ctx(self) -> int:
        return self._bundle.n_ctx

    @property
    def embedder(self) -> Embedder:
        """What the model gives for texts."""
        return self._bundle.embedder

    @property
    def n_slots(self) -> int:
        return self._config.parallel

    @property
    def sampling_defaults(self) -> SamplerSettings:
        """The sampling defaults for requests."""
        return self._bundle.sampling

    @property
    def model_name(self) -> str:
        return self._config.model_name or self._bundle.name

    @property
    def model_created(self) -> int:
        return self._bundle.created

    @property
    def is_running(self) -> bool:
        """Whether the engine takes requests. False once it drains, has stopped or has failed."""
        return not (self._draining or self._stopped.is_set())

    async def wait_stopped(self) -> str | None:
        """Wait for the end of the compute thread. Returns None after a normal stop, else the failure."""
        await self._stopped.wait()
        return self._failure

    @asynccontextmanager
    async def generate(self, request: GenerationRequest) -> AsyncIterator[EngineStream]:
        """See `protocol.EngineLike.generate`. Leaving frees the pages before the next step is planned."""
        banned = request.sampling.banned_strings
        if banned and self._bundle.tokenizer is not None and self.is_running:  # searching a vocabulary takes a while
            await in_thread(self._bundle.vocabulary.banned_strings, banned)
        generation = self._admit(request)
        stream = self._streams[generation] = EngineStream(generation)
        self._commands.put(("add", generation))
        try:
            yield stream
        finally:
            self._leave(generation)

    async def embed(self, request: EmbeddingRequest) -> list[npt.NDArray[np.float32]]:
        """See `protocol.EngineLike.embed`. Cancelling it frees the pages before the next step is planned."""
        self._check_running()
        check_embedding(request, self.embedder, n_vocab=self._bundle.vocabulary.n_vocab, model=self.model_name)
        self._check_room()
        job = Embedding(request)
        over = self._embeddings[job] = trio.Event()
        self._begin()
        self._commands.put(("add", job))
        try:
            await over.wait()
        finally:
            if self._embeddings.pop(job, None) is not None:
                job.dropped = True
                self._commands.put(("drop", job))
                self._packer.interrupt_if_unwanted()
            self._check_idle()
        if job.error is not None:
            raise job.error
        return finished(job.rows, self.embedder, normalize=request.normalize, dimensions=request.dimensions)

    async def compile_grammar(self, text: str, *, foreign: bool = False) -> Constraint:
        """See `protocol.EngineLike.compile_grammar`."""
        grammars = self._bundle.vocabulary.grammars
        known = grammars.find(text)
        return known if known is not None else await self._compile(grammars.compile, text, foreign=foreign)

    async def prepare_grammars(self) -> None:
        """Make ready what all grammars need, about a second's work. The first grammar does it if nobody else has."""
        if self._bundle.tokenizer is not None:
            await in_thread(self._bundle.vocabulary.grammars.prepare)

    async def with_template(self, work: Callable[[Any], T]) -> T:
        """What `work` returns of the chat template, in a worker thread. Raises OxillamaError without a vocabulary."""
        _ = self.tokenizer
        return await self._render(work, self.chat_template)

    async def render_chat(self, messages: Sequence[Mapping[str, Any]], **kwargs: Any) -> str:
        """The old way to render a conversation; it does not mark content. Raises TemplateError."""
        warnings.warn("render_chat: use oxillama.chat.chat_prompt instead", DeprecationWarning, stacklevel=2)
        text = await self.with_template(lambda template: template.render(messages, **kwargs))
        return str(text.text)

    async def encode(
        self, text: str | PromptText, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        """Token ids of a text; a long one is encoded in a worker thread."""
        tokenizer = self.tokenizer
        if len(text) <= LONG_TEXT:
            await trio.lowlevel.checkpoint()
            return tokenizer.encode(text, add_special, parse_special)
        return await self._encode(tokenizer.encode, text, add_special, parse_special)

    def statistics(self) -> EngineStatistics:
        """At most one step old."""
        scheduler, stepper = self._stepper.scheduler, self._stepper
        active = min(scheduler.n_active, len(self._streams))
        return EngineStatistics(
            n_slots=self.n_slots,
            active=active,
            waiting=len(self._streams) - active + len(self._embeddings),
            max_waiting=self._config.max_waiting,
            n_pages=scheduler.n_pages,
            free_pages=scheduler.free_pages,
            requests_total=stepper.n_ended + self._packer.n_ended,
            prompt_tokens_total=stepper.n_prompt_tokens + self._packer.n_evaluated,
            cached_tokens_total=stepper.n_cached_tokens,
            generated_tokens_total=stepper.n_generated_tokens,
            forced_tokens_total=stepper.n_forced_tokens,
            steps_total=stepper.n_steps + self._packer.n_steps,
            pauses_total=scheduler.n_paused,
        )

    async def drain(self, deadline_s: float | None = None) -> None:
        """Refuse new requests, wait for those in progress, and end the rest at the deadline with EngineClosedError."""
        self._draining = True
        with trio.move_on_after(math.inf if deadline_s is None else deadline_s):
            await self._idle.wait()
            return
        for generation, stream in tuple(self._streams.items()):
            self._leave(generation)
            stream.deliver(EngineClosedError("the engine is shutting down"))
        self._end_embeddings(EngineClosedError("the engine is shutting down"))

    # ------------------------------------------------------------------------------------------- the trio side

    def _admit(self, request: GenerationRequest) -> Generation:
        self._check_running()
        bundle = self._bundle
        check_generates(self.embedder, self.model_name)
        check_request(
            request, n_ctx=bundle.n_ctx, n_vocab=bundle.vocabulary.n_vocab, has_text=bundle.tokenizer is not None
        )
        self._check_room()
        generation = Generation(
            request,
            bundle.vocabulary,
            bundle.sampling,
            n_ctx=bundle.n_ctx,
            now=time.monotonic(),
            limit_s=self._config.max_generation_s,
        )
        self._begin()
        return generation

    def _check_running(self) -> None:
        if not self.is_running:
            raise EngineClosedError(self._failure or "the engine is shutting down")

    def _check_room(self) -> None:
        """The queue is bounded here, where a refusal can still be answered."""
        waiting = len(self._streams) + len(self._embeddings) - self.n_slots
        if waiting >= self._config.max_waiting:
            wait = self._mean_s * (waiting + 1) / self.n_slots
            raise EngineBusyError(
                "too many requests are waiting; try again shortly", retry_after=min(60.0, max(1.0, wait))
            )

    def _begin(self) -> None:
        """A request begins."""
        if self._idle.is_set():
            self._idle = trio.Event()

    def _check_idle(self) -> None:
        if not self._streams and not self._embeddings:
            self._idle.set()

    def _leave(self, generation: Generation) -> None:
        """The reader has left: end the generation unless it has ended."""
        if self._forget(generation):
            generation.dropped = True
            self._commands.put(("drop", generation))
            self._stepper.interrupt_if_unwanted()

    def _forget(self, generation: Generation) -> bool:
        known = self._streams.pop(generation, None) is not None
        self._check_idle()
        return known

    def _end_embeddings(self, error: OxillamaError) -> None:
        for job in tuple(self._embeddings):
            job.error = error
            self._embeddings[job].set()

    def _receive(self, outcomes: list[Outcome], embedded: list[Embedding]) -> None:
        """What one step brought, in the trio thread."""
        for job in embedded:
            if job in self._embeddings:
                self._embeddings.pop(job).set()
        for generation, item in outcomes:
            stream = self._streams.get(generation)
            if stream is None:
                continue  # its reader left during the step
            stream.deliver(item)
            if stream.over:
                self._forget(generation)
                timings = generation.timings(time.monotonic())
                self._mean_s += 0.2 * (timings.prefill_s + timings.decode_s - self._mean_s)

    def _receive_end(self, failure: str | None) -> None:
        """The compute thread has left its loop."""
        self._failure = failure
        self._stopped.set()
        for generation, stream in tuple(self._streams.items()):
            self._forget(generation)
            stream.deliver(EngineClosedError(failure or "the engine has stopped"))
        self._end_embeddings(EngineClosedError(failure or "the engine has stopped"))

    async def _close(self) -> None:
        self._draining = True
        for generation in self._streams:
            generation.dropped = True
        for job in self._embeddings:
            job.dropped = True
        self._commands.put(("stop", None))
        self._stepper.interrupt_if_unwanted()
        self._packer.interrupt_if_unwanted()
        await self._stopped.wait()
        await in_thread(self._thread.join)
        await in_thread(self._bundle.close)

    # ---------------------------------------------------------------------------------------- the compute thread

    def _compute(self) -> None:
        failure: str | None = None
        try:
            while self._take_commands():
                outcomes = self._stepper.step()
                # While requests decode, they wait for as many tokens of texts as of others' prompts, except that a text
                # that cannot be cut takes a whole step: see packer.py.
                embedded = self._packer.step(None if self._stepper.idle else self._config.n_prefill_shared)
                if outcomes or embedded:
                    self._trio.run_sync_soon(self._receive, outcomes, embedded)
        except trio.RunFinishedError:
            return  # no reader is left
        except OxillamaError as error:  # such as a model file that was cut short: its text says it all
            failure = f"the engine has failed: {error}"
            log.critical(failure)
        except BaseException as error:
            log.critical("the compute thread failed", exc_info=error)
            failure = f"the engine has failed: {type(error).__name__}: {error}"
        finally:
            self._stepper.close()
        try:
            self._trio.run_sync_soon(self._receive_end, failure)
        except trio.RunFinishedError:
            return

    def _take_commands(self) -> bool:
        """Take all commands; if there is nothing else to do, sleep until one arrives. False: stop."""
        block = self._stepper.idle and self._packer.idle
        while True:
            try:
                verb, work = self._commands.get(block)
            except queue.Empty:
                return True
            if work is None:
                return False
            if isinstance(work, Embedding):
                self._packer.drop(work) if verb == "drop" else self._packer.add(work)
            elif verb == "drop":
                self._stepper.drop(work)
            elif not work.dropped:
                self._stepper.add(work)
            block = False
