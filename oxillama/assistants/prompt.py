"""From a thread to the tokens of a prompt: the model's own chat template, and what to leave out when it is too long."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from oxillama.assistants.records import Run, ThreadMessage
from oxillama.engine.api.protocol import EngineLike
from oxillama.engine.requests.check import check_length
from oxillama.engine.requests.prompts import prompt_ids
from oxillama.errors import TemplateError
from oxillama.text import PromptText
from oxillama.text.templates.builtin import format_prompt

# Of the context, what a prompt made to fit leaves for the answer, unless the run says how long that may be.
ANSWER_SHARE = 4

Conversation = list[dict[str, str]]
_log = logging.getLogger(__name__)


class PromptBudgetError(Exception):
    """The prompt does not fit `max_prompt_tokens`, whatever is left out."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The tokens of a run's prompt, and how many messages of its thread were left out of it."""

    ids: tuple[int, ...]
    dropped: int


def format_thread_prompt(instructions: str, messages: Sequence[ThreadMessage]) -> PromptText:
    """The prompt of a model without a chat template of its own: `<|role|>`, the text, `<|end|>`, a line each."""
    turns = conversation(instructions, messages)
    return format_prompt(turns) if turns else PromptText("")


def conversation(instructions: str, messages: Sequence[ThreadMessage]) -> Conversation:
    """The thread as chat messages; those without text say nothing and are left out."""
    turns = [{"role": "system", "content": instructions}] if instructions else []
    turns += [{"role": message.role, "content": text} for message in messages if (text := message.text_content)]
    return turns


async def build_prompt(engine: EngineLike, run: Run, messages: Sequence[ThreadMessage]) -> Prompt:
    """The run's prompt under its truncation strategy.

    `last_messages` keeps the newest n. `auto` leaves out messages from the middle of the thread (after the first one,
    oldest first, and at last the first one too) until the prompt leaves room for an answer; the newest always stays.

    Raises PromptBudgetError (`max_prompt_tokens`), ContextLengthError or TemplateError.
    """
    hard = engine.n_ctx - 1
    limit = hard if run.max_prompt_tokens is None else min(hard, run.max_prompt_tokens)
    if run.truncation_strategy.get("type", "auto") == "auto":
        aim = min(limit, engine.n_ctx - _answer_room(engine, run))
        prompt = await _fitting(engine, run.instructions, messages, aim)
    else:
        newest = messages[-int(run.truncation_strategy["last_messages"]) :]
        prompt = await _encoded(engine, run.instructions, newest, 0)
    if run.max_prompt_tokens is not None and len(prompt.ids) > run.max_prompt_tokens:
        raise PromptBudgetError
    check_length(len(prompt.ids), engine.n_ctx, "messages", room=1)
    return prompt


def _answer_room(engine: EngineLike, run: Run) -> int:
    share = engine.n_ctx // ANSWER_SHARE
    return share if run.max_completion_tokens is None else min(share, run.max_completion_tokens)


async def _fitting(engine: EngineLike, instructions: str, messages: Sequence[ThreadMessage], aim: int) -> Prompt:
    """The prompt with the fewest messages left out that has at most `aim` tokens; the shortest, if none has."""
    most = max(len(messages) - 1, 0)
    low = min(max(len(messages) - aim, 0), most)  # a message is a token at least, so more than that cannot fit
    prompt = await _encoded(engine, instructions, messages, low)
    if len(prompt.ids) <= aim or low == most:
        return prompt
    best = await _encoded(engine, instructions, messages, most)
    high = most  # fits, or nothing does
    while len(best.ids) <= aim and high - low > 1:
        middle = (low + high) // 2
        prompt = await _encoded(engine, instructions, messages, middle)
        if len(prompt.ids) <= aim:
            best, high = prompt, middle
        else:
            low = middle
    return best


def without(messages: Sequence[ThreadMessage], dropped: int) -> list[ThreadMessage]:
    """The messages with so many of the middle left out."""
    if dropped >= len(messages) - 1:
        return list(messages[-1:])
    return [*messages[:1], *messages[1 + dropped :]]


async def _encoded(engine: EngineLike, instructions: str, messages: Sequence[ThreadMessage], dropped: int) -> Prompt:
    kept = without(messages, dropped) if dropped else messages
    text = await render(engine, instructions, kept)
    if not text.text:
        _log.warning("empty prompt: the thread has no text and the run no instructions")
    return Prompt(await prompt_ids(engine, text), dropped)


async def render(engine: EngineLike, instructions: str, messages: Sequence[ThreadMessage]) -> PromptText:
    """The prompt's text. Templates refuse shapes that a thread may well have, so they are offered plainer ones.

    Raises TemplateError, of the first attempt.
    """
    turns = conversation(instructions, messages)
    if not turns:
        return PromptText("")
    if engine.chat_template.source is None:
        return format_thread_prompt(instructions, messages)
    try:
        return await engine.render_chat(turns)
    except TemplateError as error:
        for plainer in (merged(turns), merged(folded(turns))):
            try:
                return await engine.render_chat(plainer)
            except TemplateError:
                continue
        raise error


def merged(turns: Conversation) -> Conversation:
    """Neighbours of the same role as one turn: several templates insist that roles alternate."""
    result: Conversation = []
    for turn in turns:
        if result and result[-1]["role"] == turn["role"]:
            result[-1] = {**turn, "content": f"{result[-1]['content']}\n\n{turn['content']}"}
        else:
            result.append(turn)
    return result


def folded(turns: Conversation) -> Conversation:
    """The instructions as the beginning of what the user says: several templates know no system role."""
    return [{**turn, "role": "user"} if turn["role"] == "system" else turn for turn in turns]
