"""From the parts of a reply to the fields of a chat message, whole or in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from oxillama.chat.reply.events import Arguments, CallBegan, Content, Reasoning
from oxillama.server.apis.chat.answer import (
    CalledFunction,
    ChatDelta,
    ChatFinishReason,
    ChatMessage,
    ChatToolCall,
    FunctionDelta,
    ToolCallDelta,
)

if TYPE_CHECKING:
    from oxillama.chat.reply.message import Reply, ReplyReason


@dataclass(frozen=True, slots=True)
class MessageForm:
    """What a request's messages are like.

    calls: the model may make calls. legacy: a call is a `function_call`, as for requests with `functions`. reasoning:
    reasoning is sent.
    """

    calls: bool = False
    legacy: bool = False
    reasoning: bool = True

    def reason(self, reason: ReplyReason) -> ChatFinishReason:
        """Why a choice ended."""
        return "function_call" if self.legacy and reason == "tool_calls" else reason

    def message(self, reply: Reply) -> ChatMessage:
        """A whole message."""
        thought = reply.reasoning if self.reasoning and reply.reasoning else msgspec.UNSET
        calls = [
            ChatToolCall(id=call.id, function=CalledFunction(name=call.name, arguments=call.arguments))
            for call in reply.tool_calls
        ]
        return ChatMessage(
            content=reply.content or (None if calls else ""),
            reasoning_content=thought,
            reasoning=thought,
            tool_calls=calls if calls and not self.legacy else msgspec.UNSET,
            function_call=calls[0].function if calls and self.legacy else msgspec.UNSET,
        )

    def first_delta(self) -> ChatDelta:
        """What a message begins with. Its content is null for as long as it may turn out to be calls alone."""
        return ChatDelta(role="assistant", content=None if self.calls else "", refusal=None)

    def deltas(self, parts: Iterable[object]) -> Iterator[tuple[ChatDelta, tuple[int, ...]]]:
        """The deltas of one event's parts, with the tokens whose log-probabilities go with them."""
        for part in parts:
            match part:
                case Content(text, tokens):
                    yield ChatDelta(content=text), tokens
                case Reasoning(text):
                    if self.reasoning:
                        yield ChatDelta(reasoning_content=text, reasoning=text), ()
                case CallBegan(index, call_id, name):
                    function = FunctionDelta(name=name, arguments="")
                    yield self._call(ToolCallDelta(index=index, id=call_id, type="function", function=function)), ()
                case Arguments(index, text):
                    yield self._call(ToolCallDelta(index=index, function=FunctionDelta(arguments=text))), ()

    def _call(self, delta: ToolCallDelta) -> ChatDelta:
        return ChatDelta(function_call=delta.function) if self.legacy else ChatDelta(tool_calls=[delta])
