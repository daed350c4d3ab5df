"""The tokens of a conversation's prompt alone, and what to leave out of a conversation that is too long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oxillama.chat.conversation import INSTRUCTIONS, Message
from oxillama.chat.exchange import Exchange, prepare
from oxillama.chat.history import dialect_of, render
from oxillama.chat.options import ChatOptions
from oxillama.engine.requests.prompts import prompt_ids

if TYPE_CHECKING:
    from oxillama.engine.api.protocol import EngineLike


@dataclass(frozen=True, slots=True)
class FittedPrompt:
    """A turn of a conversation that is ready for the engine, and how many messages were left out of it."""

    exchange: Exchange
    dropped: int

    @property
    def ids(self) -> tuple[int, ...]:
        """The tokens of the prompt."""
        return self.exchange.prompt


async def chat_prompt(engine: EngineLike, messages: Sequence[Message], **values: Any) -> tuple[int, ...]:
    """The prompt of a conversation; `values` go to the chat template (see `render`).

    Without messages, it is the prompt of an empty text. The engine checks the length. Raises TemplateError.
    """
    text = await engine.with_template(lambda template: render(template, messages, **values))
    return await prompt_ids(engine, text)


async def takes_tools(engine: EngineLike) -> bool:
    """Whether the model's template offers tools. The instructions tell other models of them, which few follow well."""
    return await engine.with_template(lambda template: dialect_of(template, tools=True).tools is not None)


async def fitted_prompt(
    engine: EngineLike,
    messages: Sequence[Message],
    most: int,
    *,
    options: ChatOptions | None = None,
    tail: Sequence[Message] = (),
    scope: str | None = None,
) -> FittedPrompt:
    """The prompt of at most `most` tokens that leaves out the fewest messages; if there is none, the shortest prompt.

    Instructions at the beginning, the newest message and `tail`, which follows it, always stay. Of the others, the
    oldest are left out first, but the first message last. options, scope: see `prepare`. Raises TemplateError and what
    `prepare` raises for options that cannot be honoured.
    """
    options = options or ChatOptions()
    at = next((at for at, message in enumerate(messages) if message.role not in INSTRUCTIONS), len(messages))
    head, turns = list(messages[:at]), messages[at:]

    async def without(dropped: int) -> FittedPrompt:
        left = head + without_middle(turns, dropped) + list(tail)
        return FittedPrompt(await prepare(engine, left, options, scope=scope), dropped)

    high = max(len(turns) - 1, 0)
    low = min(max(len(turns) - most, 0), high)  # a message is a token at least, so more than that cannot fit
    prompt = await without(low)
    if len(prompt.ids) <= most or low == high:
        return prompt
    best = await without(high)  # fits, or nothing does
    while len(best.ids) <= most and high - low > 1:
        middle = (low + high) // 2
        prompt = await without(middle)
        if len(prompt.ids) <= most:
            best, high = prompt, middle
        else:
            low = middle
    return best


def without_middle(turns: Sequence[Message], dropped: int) -> list[Message]:
    """The messages without the `dropped` oldest after the first; with only the newest if more have to go."""
    if dropped and dropped >= len(turns) - 1:
        return list(turns[-1:])
    return [*turns[:1], *turns[1 + dropped :]]
