"""The prompt of a run's next reply, under the run's truncation strategy and token budgets."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from oxillama.assistants.records import FileSearchToolCall, Run, RunStep, RunStepStatus, ThreadMessage
from oxillama.assistants.run.tools.passages import question_with, searches_of, shown
from oxillama.chat import ChatOptions, FittedPrompt, Message, ToolCall, fitted_prompt, prepare
from oxillama.engine.api.protocol import EngineLike
from oxillama.engine.requests.check import check_length

ANSWER_SHARE = 4
"""A shortened prompt leaves 1/ANSWER_SHARE of the context for the answer, or less if the run's budget is smaller."""

_log = logging.getLogger(__name__)


class PromptBudgetError(Exception):
    """The prompt does not fit `max_prompt_tokens`, however many messages are left out."""


def messages_wanted(run: Run, n_ctx: int) -> int:
    """How many of the newest messages a prompt can have at most; a message is a token at least."""
    if run.truncation_strategy.get("type", "auto") == "auto":
        return n_ctx
    return int(run.truncation_strategy["last_messages"])


def conversation(instructions: str, messages: Sequence[ThreadMessage]) -> list[Message]:
    """The thread as a conversation. Messages without text are left out."""
    turns = [Message(role="system", content=instructions)] if instructions else []
    turns += [Message(role=message.role, content=text) for message in messages if (text := message.text_content)]
    if not turns:
        _log.warning("empty prompt: the thread has no text and the run no instructions")
    return turns


def rounds(steps: Sequence[RunStep], search_name: str) -> list[Message]:
    """The calls of a run so far with their results, as the model made them. search_name: what it calls the search."""
    told: list[Message] = []
    number = 0
    for step in steps:
        calls: list[ToolCall] = []
        results: list[Message] = []
        for call in step.tool_calls if step.status is RunStepStatus.COMPLETED else ():
            if isinstance(call, FileSearchToolCall):
                number += 1
                if call.arguments is None:
                    continue  # its results are part of the question
                calls.append(ToolCall(id=call.id, name=search_name, arguments=call.arguments))
                output = shown(call, number - 1)
            else:
                calls.append(ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments))
                output = call.function.output or ""
            results.append(Message(role="tool", content=output, tool_call_id=call.id))
        if calls:
            made = Message(role="assistant", content=step.content, reasoning=step.reasoning, tool_calls=tuple(calls))
            told += [made, *results]
    return told


def _with_passages(turns: list[Message], steps: Sequence[RunStep]) -> list[Message]:
    """The conversation with the passages that the server searched for in the newest question."""
    at = next((at for at in range(len(turns) - 1, -1, -1) if turns[at].role == "user"), None)
    for number, call in enumerate(searches_of(steps)):
        if call.arguments is None and at is not None:
            turns[at] = replace(turns[at], content=question_with(call, number, str(turns[at].content)))
    return turns


async def build_prompt(
    engine: EngineLike,
    run: Run,
    messages: Sequence[ThreadMessage],
    steps: Sequence[RunStep] = (),
    options: ChatOptions | None = None,
    *,
    search_name: str = "file_search",
    scope: str | None = None,
    spent: int = 0,
) -> FittedPrompt:
    """The prompt of a run's next reply. scope: see `oxillama.chat.prepare`. spent: tokens of the run's earlier prompts.

    messages: the thread's, without what this run wrote; of a long thread the first and the newest `messages_wanted`
    will do. steps: the run's; their calls always stay in the prompt.
    `last_messages` keeps the newest n messages. `auto` leaves out messages until the prompt has room for an answer: the
    oldest first, but the first message last, and never the newest.

    Raises PromptBudgetError (`max_prompt_tokens`), ContextLengthError, TemplateError or InvalidParameterError.
    """
    options = options or ChatOptions()
    hard = engine.n_ctx - 1
    budget = None if run.max_prompt_tokens is None else run.max_prompt_tokens - spent
    limit = hard if budget is None else min(hard, budget)
    tail = rounds(steps, search_name)
    if run.truncation_strategy.get("type", "auto") == "auto":
        aim = min(limit, engine.n_ctx - _answer_room(engine, run))
        turns = _with_passages(conversation(run.instructions, messages), steps)
        prompt = await fitted_prompt(engine, turns, aim, options=options, tail=tail, scope=scope)
    else:
        newest = messages[-int(run.truncation_strategy["last_messages"]) :]
        turns = _with_passages(conversation(run.instructions, newest), steps)
        prompt = FittedPrompt(await prepare(engine, turns + tail, options, scope=scope), 0)
    if budget is not None and len(prompt.ids) > budget:
        raise PromptBudgetError
    check_length(len(prompt.ids), engine.n_ctx, "messages", room=1)
    return prompt


def _answer_room(engine: EngineLike, run: Run) -> int:
    share = engine.n_ctx // ANSWER_SHARE
    return share if run.max_completion_tokens is None else min(share, run.max_completion_tokens)
