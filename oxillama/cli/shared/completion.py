"""One completion with the engine, piece by piece. `run` and `chat` share it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from oxillama.chat.reply.events import Arguments, CallBegan, CallEnded, Content, Ended, Reasoning
from oxillama.chat.reply.message import reply_reason
from oxillama.cli.shared.terminal.answer import arguments_of
from oxillama.engine.api.protocol import EngineLike
from oxillama.engine.api.types import GenerationRequest, Timings, Usage


class Output(Protocol):
    """Where a completion is shown as it comes."""

    def write(self, piece: str) -> None:
        """Show a piece of the text."""

    def think(self, piece: str) -> None:
        """Show a piece of the reasoning."""

    def call(self, name: str, arguments: str) -> None:
        """Show a whole call of a tool. arguments: JSON, unless the call was cut off."""


@dataclass(slots=True)
class Call:
    """A call of a tool."""

    id: str
    name: str
    arguments: str = ""
    complete: bool = False


@dataclass(slots=True)
class Completion:
    """A completion, finished or in progress. ids: all generated tokens, including the one that ended the text."""

    prompt_ids: tuple[int, ...] = ()
    ids: list[int] = field(default_factory=list)
    text: str = ""
    reasoning: str = ""
    calls: list[Call] = field(default_factory=list)
    finish_reason: str | None = None
    usage: Usage = field(default_factory=lambda: Usage(0, 0))
    timings: Timings = field(default_factory=lambda: Timings(0.0, 0.0, 0.0))

    def as_json(self, model: str) -> dict[str, Any]:
        """The object that `run --json` prints."""
        decoded = len(self.ids) - 1  # prefill produces the first token
        return {
            "model": model,
            "text": self.text,
            "reasoning": self.reasoning,
            "tool_calls": [
                {"id": call.id, "name": call.name, "arguments": arguments_of(call.arguments)} for call in self.calls
            ],
            "ids": self.ids,
            "prompt_ids": self.prompt_ids,
            "finish_reason": self.finish_reason,
            "usage": {
                "prompt_tokens": self.usage.prompt_tokens,
                "completion_tokens": self.usage.completion_tokens,
                "total_tokens": self.usage.total_tokens,
                "cached_tokens": self.usage.cached_tokens,
            },
            "timings": {
                "queue_s": self.timings.queue_s,
                "prefill_s": self.timings.prefill_s,
                "decode_s": self.timings.decode_s,
                "prefill_tok_s": rate(self.usage.prompt_tokens - self.usage.cached_tokens, self.timings.prefill_s),
                "decode_tok_s": rate(decoded, self.timings.decode_s),
            },
        }

    def add(self, part: object, output: Output) -> None:
        """Add a part of a reply, and show it."""
        match part:
            case Content(text):
                self.text += text
                output.write(text)
            case Reasoning(text):
                self.reasoning += text
                output.think(text)
            case CallBegan():
                self.calls.append(Call(part.id, part.name))
            case Arguments(index, text):
                self.calls[index].arguments += text
            case CallEnded(index):
                self.calls[index].complete = True
                output.call(self.calls[index].name, self.calls[index].arguments)
            case Ended():
                for call in self.calls:
                    if not call.complete:
                        output.call(call.name, call.arguments)


def rate(count: int, seconds: float) -> float | None:
    """Per second; None if there is nothing to divide."""
    return count / seconds if count > 0 and seconds > 0 else None


async def complete(engine: EngineLike, done: Completion, request: GenerationRequest, output: Output) -> Completion:
    """Generate what is requested, and pass every piece on as soon as it is final.

    `done` is updated during generation. After a cancellation it has the text so far, and `finish_reason` is None.
    Raises the errors of `EngineLike.generate` and of its stream.
    """
    done.prompt_ids = request.prompt_ids
    async with engine.generate(request) as stream:
        try:
            async for event in stream:
                if event.token_id is not None:
                    done.ids.append(event.token_id)
                if event.text:
                    done.text += event.text
                    output.write(event.text)
                for part in event.parts:
                    done.add(part, output)
                if event.finish_reason is not None:
                    done.finish_reason = reply_reason(event.finish_reason, called=bool(done.calls))
        finally:
            done.usage, done.timings = stream.usage, stream.timings
    return done
