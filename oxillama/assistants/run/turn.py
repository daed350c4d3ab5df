"""One reply of the model in a run: its text becomes a message, and its calls become a step, as they are generated."""

from __future__ import annotations

from dataclasses import dataclass

from oxillama.assistants.records import (
    CachedPromptTokens,
    FileSearchToolCall,
    FunctionToolCall,
    StepFunction,
    TokenUsage,
)
from oxillama.assistants.run.journal import Journal
from oxillama.chat.reply.events import Arguments, CallBegan, CallEnded, Content
from oxillama.chat.reply.message import ReplyBuilder
from oxillama.engine.api.protocol import GenerationStream
from oxillama.engine.api.types import FinishReason


@dataclass(frozen=True, slots=True)
class Turn:
    """How a reply ended. calls: how many there are. whole: whether all of them are complete."""

    reason: FinishReason
    calls: int
    whole: bool


async def write_turn(journal: Journal, stream: GenerationStream, search_name: str | None) -> Turn:
    """Write a reply into the journal while it is generated. search_name: what the model calls the search.

    What the model thinks is not part of the message. Neither is text after a call; the model sees it again.
    """
    builder = ReplyBuilder()
    began = ended = 0
    reason: FinishReason = "stop"
    try:
        async for event in stream:
            builder.add(event.parts)
            journal.usage = _usage(stream)
            for part in event.parts:
                match part:
                    case Content(text) if text and not began:
                        await journal.write(text)
                    case CallBegan(_, call_id, name):
                        began += 1
                        await journal.begin_call(
                            FileSearchToolCall(call_id, arguments="")
                            if name == search_name
                            else FunctionToolCall(call_id, StepFunction(name, ""))
                        )
                    case Arguments(index, text):
                        journal.add_arguments(index, text)
                    case CallEnded():
                        ended += 1
            reason = event.finish_reason or reason
    finally:
        journal.usage = _usage(stream)
    reply = builder.reply(reason)
    if began:
        journal.set_reply(reply.content, reply.reasoning)
    return Turn(reason, began, began == ended)


def _usage(stream: GenerationStream) -> TokenUsage:
    usage = stream.usage
    return TokenUsage(
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        CachedPromptTokens(usage.cached_tokens),
    )
