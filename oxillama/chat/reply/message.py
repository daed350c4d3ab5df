"""A whole reply, put together from the parts of its events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from oxillama.chat.conversation import Message, ToolCall
from oxillama.chat.reply.events import Arguments, CallBegan, Content, Ended, Reasoning
from oxillama.engine.api.types import FinishReason

if TYPE_CHECKING:
    from oxillama.engine.api.protocol import GenerationStream
    from oxillama.engine.api.types import TokenEvent

ReplyReason = Literal["stop", "length", "tool_calls"]


def reply_reason(reason: FinishReason, *, called: bool) -> ReplyReason:
    """Why a reply ended. reason: why its generation did. called: whether it has calls."""
    return "tool_calls" if called and reason == "stop" else reason


def reason_of(event: TokenEvent) -> ReplyReason | None:
    """Why a reply ended; None if this is not its last event."""
    if event.finish_reason is None:
        return None
    return reply_reason(
        event.finish_reason, called=any(part.called for part in event.parts if isinstance(part, Ended))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the model answered.

    finish_reason: "tool_calls" if it made calls and waits for their results, "length" if a limit cut it off; then the
    arguments of the last call may be no JSON.
    reasoning_tokens: how many of its tokens were reasoning. content_tokens: which of them are the content's.
    """

    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: ReplyReason = "stop"
    reasoning_tokens: int = 0
    content_tokens: tuple[int, ...] = ()

    @property
    def message(self) -> Message:
        """The reply as a message, to go on with the conversation."""
        return Message(role="assistant", content=self.content, reasoning=self.reasoning, tool_calls=self.tool_calls)


class ReplyBuilder:
    """Puts the parts of one reply together, in the order in which they came."""

    def __init__(self) -> None:
        self._content: list[str] = []
        self._tokens: list[int] = []
        self._reasoning: list[str] = []
        self._calls: list[CallBegan] = []
        self._arguments: list[list[str]] = []
        self._ended = Ended(called=False, reasoning_tokens=0)

    def add(self, parts: Iterable[object]) -> None:
        """Add the parts of one event (`TokenEvent.parts`)."""
        for part in parts:
            match part:
                case Content(text, tokens):
                    self._content.append(text)
                    self._tokens += tokens
                case Reasoning(text):
                    self._reasoning.append(text)
                case CallBegan():
                    self._calls.append(part)
                    self._arguments.append([])
                case Arguments(index, text):
                    self._arguments[index].append(text)
                case Ended():
                    self._ended = part

    def reply(self, reason: FinishReason) -> Reply:
        """The reply, whose generation ended for this reason."""
        return Reply(
            content="".join(self._content),
            reasoning="".join(self._reasoning),
            tool_calls=tuple(
                ToolCall(id=call.id, name=call.name, arguments="".join(arguments))
                for call, arguments in zip(self._calls, self._arguments, strict=True)
            ),
            finish_reason=reply_reason(reason, called=self._ended.called),
            reasoning_tokens=self._ended.reasoning_tokens,
            content_tokens=tuple(self._tokens),
        )


async def read_reply(stream: GenerationStream) -> Reply:
    """The whole reply, once its generation has ended. Raises GenerationError or EngineClosedError."""
    builder, reason = ReplyBuilder(), None
    async for event in stream:
        builder.add(event.parts)
        reason = event.finish_reason
    assert reason is not None  # the last event has one
    return builder.reply(reason)
