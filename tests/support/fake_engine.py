"""A scripted engine: the interface of `oxillama.engine.Engine` without a model, for tests of the layers above.

    engine = FakeEngine(reply="Hello", delay_s=0.1)
    async with engine.generate(request) as stream: ...
    assert engine.active == 0

Tokens are bytes: token id = byte + 3; 0 is unknown, 1 begins a text and 2 ends it. So "é" has two tokens, and its text
arrives with the second one. The engine waits with trio.sleep, so with an `autojump_clock` a slow script takes no time.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import trio

from oxillama.engine.api.embedding import Embedder, EmbeddingRequest, finished
from oxillama.engine.api.sampling import SamplerSettings
from oxillama.engine.api.types import (
    EngineStatistics,
    GenerationRequest,
    Timings,
    TokenEvent,
    TokenLogprob,
    Usage,
)
from oxillama.engine.constraints.grammars import Grammars
from oxillama.engine.requests.check import check_request
from oxillama.engine.requests.embedding import check_embedding, check_generates
from oxillama.errors import (
    EngineBusyError,
    EngineClosedError,
    GenerationError,
    TemplateError,
)
from oxillama.text import PromptText
from oxillama.text.prompt_text import prompt_text
from oxillama.text.tokenizers.fim import FimTokens
from tests.support.fake_output import ReadTokens, ShownText

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from oxillama.engine.api.constraint import Constraint

T = TypeVar("T")
UNK, BOS, EOS, FIRST_BYTE = 0, 1, 2, 3
PIECE_LOGPROB = -0.5


class FakeTokenizer:
    """One token per byte, and three control tokens."""

    n_vocab = FIRST_BYTE + 256
    bos_id = BOS
    eos_id = EOS
    eog_ids = frozenset({EOS})
    fim: FimTokens | None = None
    suffix_ids: tuple[int, ...] = ()
    doubles_ends = False
    _names = ("<unk>", "<s>", "</s>")

    def encode(self, text: str | PromptText, add_special: bool = True, parse_special: bool = False) -> list[int]:
        text = text if isinstance(text, str) else text.text
        ids = [b + FIRST_BYTE for b in text.encode("utf-8", "surrogatepass")]
        return [BOS, *ids] if add_special else ids

    def decode(self, ids: Sequence[int]) -> bytes:
        return b"".join(self.token_bytes(i) for i in ids)

    def token_bytes(self, token_id: int) -> bytes:
        return bytes([token_id - FIRST_BYTE]) if token_id >= FIRST_BYTE else b""

    def is_control(self, token_id: int) -> bool:
        return token_id < FIRST_BYTE

    def is_special(self, token_id: int) -> bool:
        return token_id < FIRST_BYTE

    def token_text(self, token_id: int) -> str:
        return self._names[token_id] if token_id < FIRST_BYTE else f"<0x{token_id - FIRST_BYTE:02X}>"

    def find(self, text: str) -> int | None:
        return self._names.index(text) if text in self._names else None


class FillingTokenizer(FakeTokenizer):
    """The same; bytes that no text has mark the prefix, the suffix and the middle, and end it."""

    fim = FimTokens(FIRST_BYTE + 0xF8, FIRST_BYTE + 0xF9, FIRST_BYTE + 0xFA, ends=frozenset({FIRST_BYTE + 0xFB}))


class FakeChatTemplate:
    """Renders `<role>content and calls</role>` per message, then `<assistant>`. If `error` is given, raises it.

    source: what the template's text is said to be.
    """

    def __init__(self, error: Exception | None = None, *, source: str | None = None) -> None:
        self.source = self.tool_source = source
        self.error = error

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **kwargs: Any,
    ) -> PromptText:
        if self.error is not None:
            raise self.error
        pieces: list[str | PromptText] = []
        for message in messages:
            content = message.get("content") or ""
            if not isinstance(content, (str, PromptText)):
                raise TemplateError("content is not a text")
            content = PromptText.of_content(content) if isinstance(content, str) else content
            calls = [PromptText.of_content(json.dumps(call)) for call in message.get("tool_calls") or ()]
            pieces += (f"<{message['role']}>", content, *calls, f"</{message['role']}>")
        return prompt_text(*pieces, "<assistant>" if add_generation_prompt else "")


class FakeStream:
    """The events of one scripted generation."""

    def __init__(self, engine: FakeEngine, request: GenerationRequest) -> None:
        self._engine = engine
        self._request = request
        self._began = trio.current_time()
        self._first: float | None = None
        self._last: float | None = None
        self._started: float | None = None
        self._completion = 0
        self._events = self._run()
        self.prompt_logprobs: tuple[TokenLogprob | None, ...] = ()

    def __aiter__(self) -> FakeStream:
        return self

    async def __anext__(self) -> TokenEvent:
        with self._engine._killable():
            return await self._events.__anext__()
        raise EngineClosedError("the engine has stopped")

    @property
    def usage(self) -> Usage:
        return Usage(prompt_tokens=len(self._request.prompt_ids), completion_tokens=self._completion)

    @property
    def timings(self) -> Timings:
        now = trio.current_time()
        started = self._started if self._started is not None else now
        first = self._first if self._first is not None else now
        return Timings(started - self._began, max(0.0, first - started), max(0.0, (self._last or now) - first))

    def _logprob(self, token: int, n_top: int) -> TokenLogprob:
        tokenizer = self._engine.tokenizer
        ranked = [token, *(t for t in range(FIRST_BYTE, FIRST_BYTE + n_top) if t != token)][:n_top]
        top = tuple((t, tokenizer.token_bytes(t), PIECE_LOGPROB - rank) for rank, t in enumerate(ranked))
        return TokenLogprob(token, tokenizer.token_bytes(token), PIECE_LOGPROB, top)

    async def _run(self) -> AsyncGenerator[TokenEvent, None]:
        engine, request = self._engine, self._request
        sampling = request.sampling
        async with engine._slot():
            self._started = trio.current_time()
            if engine.prefill_s:
                await trio.sleep(engine.prefill_s)
            if request.prompt_logprobs is not None:
                self.prompt_logprobs = (
                    None,
                    *(self._logprob(t, request.prompt_logprobs) for t in request.prompt_ids[1:]),
                )
            room = engine.n_ctx - len(request.prompt_ids)
            limit = room if sampling.max_tokens is None else min(sampling.max_tokens, room)
            script = itertools.cycle(engine._script(request))  # starts again only if the end of text is ignored
            shown: ShownText | ReadTokens = ShownText(sampling.stop, engine.tokenizer.token_bytes)
            if request.reader is not None:
                shown = ReadTokens(request.reader())
            due: deque[int] = deque()
            for k in range(limit):
                if not due:  # a step gives a token and those that the reader forces after it
                    await (trio.sleep(engine.delay_s) if engine.delay_s else trio.lowlevel.checkpoint())
                if engine.fail_at == k:
                    raise engine.error
                token = due.popleft() if due else next(script)
                if token == EOS and k < sampling.min_tokens:
                    token = FIRST_BYTE + ord(" ")
                self._completion += 1
                self._first = self._first if self._first is not None else trio.current_time()
                self._last = trio.current_time()
                engine.tokens += 1
                if (token == EOS and not sampling.ignore_eos) or token in sampling.stop_token_ids:
                    yield shown.end(TokenEvent(token, "", (), "stop"))
                    return
                logprob = None if sampling.logprobs is None else self._logprob(token, sampling.logprobs)
                event, forced = shown.push(token, logprob)
                due.extend(forced)
                if event.finish_reason is None and k + 1 == limit:
                    event = replace(event, finish_reason="length")
                if event.finish_reason is not None:
                    yield shown.end(event)
                    return
                yield event
            yield shown.end(TokenEvent(None, "", (), "length"))


class FakeEngine:
    """Answers every request with `reply`, one token every `delay_s` seconds, then the end-of-text token.

    reply: the text, or a function that makes it from the request; `engine.prompt_text(request)` decodes the prompt.
    fail_at: the index of the token at which `error` is raised instead; error: a GenerationError by default.
    hang_in_prefill: the first token never comes. prefill_s: the time of the first token in addition to delay_s.
    busy: refuse every request, as with a full queue. max_waiting: most requests that wait; further ones are refused.

    embedder: what it gives for texts; by default nothing.

    For assertions: `requests` (all, in order), `active`, `waiting`, `ended` (for any reason), `tokens` (generated).
    """

    def __init__(
        self,
        *,
        reply: str | Callable[[GenerationRequest], str] = "Hello, world!",
        delay_s: float = 0.0,
        prefill_s: float = 0.0,
        fail_at: int | None = None,
        error: Exception | None = None,
        hang_in_prefill: bool = False,
        busy: bool = False,
        n_ctx: int = 2048,
        n_slots: int = 4,
        max_waiting: int = 64,
        model_name: str = "fake-model",
        chat_template: FakeChatTemplate | None = None,
        embedder: Embedder | None = None,
        tokenizer: FakeTokenizer | None = None,
    ) -> None:
        self.embedder = embedder or Embedder()
        self.embedded: list[EmbeddingRequest] = []
        self.reply = reply
        self.delay_s = delay_s
        self.prefill_s = math.inf if hang_in_prefill else prefill_s
        self.fail_at = fail_at
        self.error = error or GenerationError("the scripted failure")
        self.busy = busy
        self.n_ctx = n_ctx
        self.sampling_defaults = SamplerSettings()
        self.n_slots = n_slots
        self.max_waiting = max_waiting
        self.model_name = model_name
        self.model_created = 1_700_000_000
        self.tokenizer = tokenizer or FakeTokenizer()
        self.chat_template = chat_template or FakeChatTemplate()
        self.requests: list[GenerationRequest] = []
        self.open = self.active = self.ended = self.tokens = 0
        self._draining = False
        self._closed = False
        self._slots = trio.Semaphore(n_slots)
        self._scopes: set[trio.CancelScope] = set()
        self._idle = trio.Event()
        self._idle.set()

    @property
    def is_running(self) -> bool:
        return not (self._draining or self._closed)

    @property
    def waiting(self) -> int:
        """Open generations without a slot, including those that were not read from yet."""
        return self.open - self.active

    def prompt_text(self, request: GenerationRequest) -> str:
        return self.tokenizer.decode(request.prompt_ids).decode("utf-8", "replace")

    @asynccontextmanager
    async def generate(self, request: GenerationRequest) -> AsyncIterator[FakeStream]:
        self._check(request)
        self.requests.append(request)
        self.open += 1
        self._idle = trio.Event() if self.open == 1 else self._idle
        stream = FakeStream(self, request)
        try:
            yield stream
        finally:
            with trio.CancelScope(shield=True):
                await stream._events.aclose()
            self.open -= 1
            self.ended += 1
            if self.open == 0:
                self._idle.set()

    def _check(self, request: GenerationRequest) -> None:
        check_generates(self.embedder, self.model_name)
        if self._draining or self._closed:
            raise EngineClosedError("the engine is shutting down")
        check_request(request, n_ctx=self.n_ctx, n_vocab=self.tokenizer.n_vocab, has_text=True)
        if self.busy or self.open >= self.n_slots + self.max_waiting:
            raise EngineBusyError("too many requests are waiting; try again shortly", retry_after=1.0)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        async with self._slots:
            self.active += 1
            try:
                yield
            finally:
                self.active -= 1

    @contextmanager
    def _killable(self) -> Iterator[None]:
        """When the engine is killed, the code inside is cancelled, and the block ends without an error."""
        if self._closed:
            raise EngineClosedError("the engine has stopped")
        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)

    def _script(self, request: GenerationRequest) -> list[int]:
        text = self.reply if isinstance(self.reply, str) else self.reply(request)
        return [*self.tokenizer.encode(text, add_special=False), EOS]

    async def embed(self, request: EmbeddingRequest) -> list[npt.NDArray[np.float32]]:
        """Vectors that count a text's tokens by their remainder; scores that count what a pair has twice."""
        check_embedding(request, self.embedder, n_vocab=self.tokenizer.n_vocab, model=self.model_name)
        self.embedded.append(request)
        if self.busy or self.open >= self.n_slots + self.max_waiting:
            raise EngineBusyError("too many requests are waiting; try again shortly", retry_after=1.0)
        async with self._slot():
            await trio.sleep(self.delay_s)
            if self.embedder.pooling == "rank":
                rows = [np.array([[len(ids) - len(set(ids))]], np.float32) for ids in request.texts]
            else:
                width = self.embedder.width
                counts = (np.bincount([i % width for i in ids], minlength=width) for ids in request.texts)
                rows = [count[None].astype(np.float32) for count in counts]
            return finished(rows, self.embedder, normalize=request.normalize, dimensions=request.dimensions)

    async def compile_grammar(self, text: str, *, foreign: bool = False) -> Constraint:
        await trio.lowlevel.checkpoint()
        return Grammars(self.tokenizer, self.tokenizer.n_vocab).compile(text)

    async def with_template(self, work: Callable[[Any], T]) -> T:
        await trio.lowlevel.checkpoint()
        return work(self.chat_template)

    async def encode(
        self, text: str | PromptText, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        await trio.lowlevel.checkpoint()
        return self.tokenizer.encode(text, add_special, parse_special)

    def statistics(self) -> EngineStatistics:
        return EngineStatistics(
            n_slots=self.n_slots,
            active=self.active,
            waiting=self.waiting,
            max_waiting=self.max_waiting,
            n_pages=self.n_slots,
            free_pages=self.n_slots - self.active,
            requests_total=self.ended,
            prompt_tokens_total=sum(len(r.prompt_ids) for r in self.requests),
            generated_tokens_total=self.tokens,
            steps_total=self.tokens,
        )

    async def wait_idle(self) -> None:
        """Return when no generation is open."""
        await self._idle.wait()

    async def drain(self, deadline_s: float | None = None) -> None:
        self._draining = True
        with trio.move_on_after(math.inf if deadline_s is None else deadline_s):
            await self._idle.wait()
            return
        self.kill()

    def kill(self) -> None:
        """End all generations as a failing engine would. Readers and later requests get EngineClosedError."""
        self._closed = True
        for scope in tuple(self._scopes):
            scope.cancel()
