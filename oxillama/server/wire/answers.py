"""The answers as they stand on the wire, for the API's description. Tests hold real answers against them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

FinishReason = Literal["stop", "length"]


class Answer(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What all of them share: every key is always there."""


class ErrorBody(Answer):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(Answer):
    """Every answer that is no success."""

    error: ErrorBody


class Health(Answer):
    """Answered with 503 and an `error` besides while no work is taken."""

    status: Literal["loading", "ok", "draining", "stopped"]
    model: str


class Model(Answer):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    context_length: int


class ModelList(Answer):
    object: Literal["list"]
    data: list[Model]


class Deleted(Answer):
    id: str
    object: str
    deleted: Literal[True]


class PromptTokensDetails(Answer):
    """cached_tokens: how many were found in the prefix cache and not read again."""

    cached_tokens: int
    audio_tokens: int


class CompletionTokensDetails(Answer):
    reasoning_tokens: int
    audio_tokens: int
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class Usage(Answer):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class Timings(Answer):
    """Of the first choice: tokens taken from the cache, read and written, milliseconds, and tokens per second.
    Speeds are null where nothing was measured."""

    cache_n: int
    prompt_n: int
    predicted_n: int
    queue_ms: float
    prompt_ms: float
    predicted_ms: float
    prompt_per_second: float | None
    predicted_per_second: float | None


class ReadToken(Answer):
    token: str
    logprob: float
    bytes: list[int]


class ChosenToken(ReadToken):
    top_logprobs: list[ReadToken]


class ChatLogprobs(Answer):
    content: list[ChosenToken]
    refusal: None


class ChatMessage(Answer):
    role: Literal["assistant"]
    content: str
    refusal: None
    annotations: list[Any]


class ChatChoice(Answer):
    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason


class ChatObject(Answer):
    id: str
    created: int
    model: str
    service_tier: str
    system_fingerprint: str


class ChatCompletion(ChatObject):
    object: Literal["chat.completion"]
    choices: list[ChatChoice]
    usage: Usage
    timings: Timings


class ChatDelta(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Only what is new."""

    role: Literal["assistant"] | msgspec.UnsetType = msgspec.UNSET
    content: str | msgspec.UnsetType = msgspec.UNSET
    refusal: msgspec.UnsetType | None = msgspec.UNSET


class ChatChunkChoice(Answer):
    index: int
    delta: ChatDelta
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason | None


class ChatCompletionChunk(ChatObject):
    """usage: only with `stream_options.include_usage`, and null but in the last chunk, which has the timings too."""

    object: Literal["chat.completion.chunk"]
    choices: list[ChatChunkChoice]
    usage: Usage | msgspec.UnsetType | None = msgspec.UNSET
    timings: Timings | msgspec.UnsetType = msgspec.UNSET


class CompletionLogprobs(Answer):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class CompletionChoice(Answer):
    text: str
    index: int
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason | None


class Completion(Answer):
    """Whole, or in a stream a piece of it. usage: in a stream as in chat."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: Usage | msgspec.UnsetType | None = msgspec.UNSET
