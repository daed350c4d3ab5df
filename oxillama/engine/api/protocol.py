"""The interface of the engine, so that the layers above can be typed and tested without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    import numpy as np
    import numpy.typing as npt

    from oxillama.engine.api.constraint import Constraint
    from oxillama.engine.api.embedding import Embedder, EmbeddingRequest
    from oxillama.engine.api.sampling import SamplerSettings
    from oxillama.engine.api.types import EngineStatistics, GenerationRequest, Timings, TokenEvent, TokenLogprob, Usage
    from oxillama.text import PromptText
    from oxillama.text.tokenizers.fim import FimTokens

T = TypeVar("T")


class TokenizerLike(Protocol):
    """The part of `oxillama.text.Tokenizer` that callers of the engine use."""

    @property
    def n_vocab(self) -> int: ...
    @property
    def bos_id(self) -> int | None: ...
    @property
    def eos_id(self) -> int | None: ...
    @property
    def eog_ids(self) -> frozenset[int]: ...
    @property
    def fim(self) -> FimTokens | None: ...
    def encode(
        self, text: str | PromptText, add_special: bool = True, parse_special: bool = False
    ) -> list[int]: ...
    def decode(self, ids: Sequence[int]) -> bytes: ...
    def token_bytes(self, token_id: int, /) -> bytes: ...
    def is_control(self, token_id: int, /) -> bool: ...
    def is_special(self, token_id: int, /) -> bool: ...
    def token_text(self, token_id: int, /) -> str: ...
    def find(self, text: str, /) -> int | None: ...
    @property
    def suffix_ids(self) -> tuple[int, ...]: ...
    @property
    def doubles_ends(self) -> bool: ...


class GenerationStream(Protocol):
    """The events of one generation, for one reader.

    Iterating raises GenerationError when this request failed and EngineClosedError when the engine did. Otherwise the
    last event, and only that one, has a finish_reason. A reader may be slow: events wait for it, and
    there are never more events than tokens.
    """

    def __aiter__(self) -> AsyncIterator[TokenEvent]: ...
    async def __anext__(self) -> TokenEvent: ...
    @property
    def usage(self) -> Usage:
        """Tokens so far; final once the stream has ended."""

    @property
    def timings(self) -> Timings:
        """Seconds so far; final once the stream has ended."""

    @property
    def prompt_logprobs(self) -> tuple[TokenLogprob | None, ...]:
        """If requested: one per prompt token (None for the first), complete from the first event on."""


class EngineLike(Protocol):
    """The interface of an engine for servers and run workers. `Engine` and the tests' double implement it."""

    @property
    def tokenizer(self) -> TokenizerLike: ...
    @property
    def chat_template(self) -> Any:
        """`oxillama.text.ChatTemplate`, or an object with its interface."""

    @property
    def n_ctx(self) -> int:
        """The largest prompt + completion of one request, in tokens."""

    @property
    def n_slots(self) -> int:
        """How many requests run at once."""

    @property
    def sampling_defaults(self) -> SamplerSettings:
        """The sampling defaults for requests."""

    @property
    def is_running(self) -> bool:
        """Whether the engine takes requests. False once it drains, has stopped or has failed."""

    @property
    def model_name(self) -> str: ...
    @property
    def model_created(self) -> int:
        """Unix seconds."""

    def generate(self, request: GenerationRequest) -> AbstractAsyncContextManager[GenerationStream]:
        """Queue the request. Entering never waits for a slot; reading does. Leaving the block ends the generation.

        Entering raises EngineBusyError (queue full), EngineClosedError (draining, stopped or failed),
        ContextLengthError or InvalidParameterError (a request that cannot run).
        """

    async def compile_grammar(self, text: str, *, foreign: bool = False) -> Constraint:
        """A constraint for generations, from a grammar in llguidance's variant of Lark's syntax. It is kept for later.

        foreign: a client wrote it, or a part of it: it is tried in a child process with limits first.

        Raises InvalidParameterError, in one line, for a grammar that is wrong or too large, and for a model without a
        vocabulary.
        """

    @property
    def embedder(self) -> Embedder:
        """What the model gives for texts."""

    async def embed(self, request: EmbeddingRequest) -> list[npt.NDArray[np.float32]]:
        """The rows of each text [1, width], or [n_tokens, width] without pooling. Cancelling it ends the work.

        Raises EngineBusyError, EngineClosedError, ContextLengthError, InvalidParameterError, GenerationError.
        """

    async def with_template(self, work: Callable[[Any], T]) -> T:
        """Call `work` with the chat template in a thread, since rendering blocks. Returns its result."""

    async def encode(
        self, text: str | PromptText, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]: ...
    def statistics(self) -> EngineStatistics: ...
    async def drain(self, deadline_s: float | None = None) -> None:
        """Refuse new requests (EngineClosedError), wait for those in progress, and end the rest at the deadline."""
