"""POST /v1/chat/completions: the answer, whole and in chunks."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from oxillama.engine.api.types import FinishReason
from oxillama.server.generation.usage import Timings, Usage
from oxillama.server.wire.answer import Answer


class TopLogprob(Answer, kw_only=True):
    """bytes: the exact token, because it need not be valid UTF-8."""

    token: str
    logprob: float
    bytes: list[int]


class ChatTokenLogprob(TopLogprob, kw_only=True):
    top_logprobs: list[TopLogprob]


class ChatLogprobs(Answer, kw_only=True):
    content: list[ChatTokenLogprob]
    refusal: None = None


class ChatMessage(Answer, kw_only=True):
    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: list[Any] = msgspec.field(default_factory=list)


class ChatChoice(Answer, kw_only=True):
    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason


class ChatCompletion(Answer, kw_only=True):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    service_tier: Literal["default"] = "default"
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: Usage
    timings: Timings


class ChatDelta(Answer, kw_only=True):
    """The new part of a message."""

    role: Literal["assistant"] | msgspec.UnsetType = msgspec.UNSET
    content: str | msgspec.UnsetType = msgspec.UNSET
    refusal: msgspec.UnsetType | None = msgspec.UNSET


class ChatChunkChoice(Answer, kw_only=True):
    index: int
    delta: ChatDelta
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason | None = None


class ChatCompletionChunk(Answer, kw_only=True):
    """usage: present only with `stream_options.include_usage`; null except in the last chunk, which has `timings`."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    service_tier: Literal["default"] = "default"
    system_fingerprint: str
    choices: list[ChatChunkChoice]
    usage: Usage | msgspec.UnsetType | None = msgspec.UNSET
    timings: Timings | msgspec.UnsetType = msgspec.UNSET
