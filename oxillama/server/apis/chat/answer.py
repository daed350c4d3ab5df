"""POST /v1/chat/completions: the answer, whole and in chunks."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from oxillama.server.generation.usage import Timings, Usage
from oxillama.server.wire.answer import Answer

ChatFinishReason = Literal["stop", "length", "tool_calls", "function_call"]


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


class CalledFunction(Answer, kw_only=True):
    """arguments: JSON in a string, as the model wrote it."""

    name: str
    arguments: str


class ChatToolCall(Answer, kw_only=True):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(Answer, kw_only=True):
    """content: null beside calls if the model said nothing else. reasoning_content and reasoning are the same text
    under the two names that clients know; they are left out if there is none.
    """

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    annotations: list[Any] = msgspec.field(default_factory=list)
    reasoning_content: str | msgspec.UnsetType = msgspec.UNSET
    reasoning: str | msgspec.UnsetType = msgspec.UNSET
    tool_calls: list[ChatToolCall] | msgspec.UnsetType = msgspec.UNSET
    function_call: CalledFunction | msgspec.UnsetType = msgspec.UNSET


class ChatChoice(Answer, kw_only=True):
    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None
    finish_reason: ChatFinishReason


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


class FunctionDelta(Answer, kw_only=True):
    """The new part of a call. Joined, the parts of `arguments` are JSON; the name is sent once."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    arguments: str | msgspec.UnsetType = msgspec.UNSET


class ToolCallDelta(Answer, kw_only=True):
    """index: which of the message's calls it belongs to. id and type are sent once."""

    index: int
    id: str | msgspec.UnsetType = msgspec.UNSET
    type: Literal["function"] | msgspec.UnsetType = msgspec.UNSET
    function: FunctionDelta


class ChatDelta(Answer, kw_only=True):
    """The new part of a message."""

    role: Literal["assistant"] | msgspec.UnsetType = msgspec.UNSET
    content: str | msgspec.UnsetType | None = msgspec.UNSET
    refusal: msgspec.UnsetType | None = msgspec.UNSET
    reasoning_content: str | msgspec.UnsetType = msgspec.UNSET
    reasoning: str | msgspec.UnsetType = msgspec.UNSET
    tool_calls: list[ToolCallDelta] | msgspec.UnsetType = msgspec.UNSET
    function_call: FunctionDelta | msgspec.UnsetType = msgspec.UNSET


class ChatChunkChoice(Answer, kw_only=True):
    index: int
    delta: ChatDelta
    logprobs: ChatLogprobs | None = None
    finish_reason: ChatFinishReason | None = None


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
