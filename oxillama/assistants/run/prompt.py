"""The tokens of a run's prompt, under the run's truncation strategy and token budgets."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from oxillama.assistants.records import Run, ThreadMessage
from oxillama.chat import ChatOptions, FittedPrompt, Message, fitted_prompt, prepare
from oxillama.engine.api.protocol import EngineLike
from oxillama.engine.requests.check import check_length

ANSWER_SHARE = 4
"""A shortened prompt leaves 1/ANSWER_SHARE of the context for the answer, or less if the run's budget is smaller."""

_log = logging.getLogger(__name__)


class PromptBudgetError(Exception):
    """The prompt does not fit `max_prompt_tokens`, however many messages are left out."""


def conversation(instructions: str, messages: Sequence[ThreadMessage]) -> list[Message]:
    """The thread as a conversation. Messages without text are left out."""
    turns = [Message(role="system", content=instructions)] if instructions else []
    turns += [Message(role=message.role, content=text) for message in messages if (text := message.text_content)]
    if not turns:
        _log.warning("empty prompt: the thread has no text and the run no instructions")
    return turns


async def build_prompt(
    engine: EngineLike, run: Run, messages: Sequence[ThreadMessage], *, scope: str | None = None
) -> FittedPrompt:
    """The run's prompt under its truncation strategy. scope: see `oxillama.chat.prepare`.

    `last_messages` keeps the newest n messages. `auto` leaves out messages until the prompt has room for an answer: the
    oldest first, but the first message last, and never the newest.

    Raises PromptBudgetError (`max_prompt_tokens`), ContextLengthError or TemplateError.
    """
    hard = engine.n_ctx - 1
    limit = hard if run.max_prompt_tokens is None else min(hard, run.max_prompt_tokens)
    if run.truncation_strategy.get("type", "auto") == "auto":
        aim = min(limit, engine.n_ctx - _answer_room(engine, run))
        prompt = await fitted_prompt(engine, conversation(run.instructions, messages), aim, scope=scope)
    else:
        newest = messages[-int(run.truncation_strategy["last_messages"]) :]
        turns = conversation(run.instructions, newest)
        prompt = FittedPrompt(await prepare(engine, turns, ChatOptions(), scope=scope), 0)
    if run.max_prompt_tokens is not None and len(prompt.ids) > run.max_prompt_tokens:
        raise PromptBudgetError
    check_length(len(prompt.ids), engine.n_ctx, "messages", room=1)
    return prompt


def _answer_room(engine: EngineLike, run: Run) -> int:
    share = engine.n_ctx // ANSWER_SHARE
    return share if run.max_completion_tokens is None else min(share, run.max_completion_tokens)
