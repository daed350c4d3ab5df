"""Rendering a conversation with a chat template, so that all of it reaches the prompt."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oxillama.chat.conversation import Message, ToolCall, folded, joined, merged
from oxillama.chat.history.dialect import Dialect, call_of, content_of, dialect_of, id_of, reasoning_fields
from oxillama.errors import TemplateError
from oxillama.text import PromptText
from oxillama.text.prompt_text import prompt_text

if TYPE_CHECKING:
    from oxillama.chat.history.dialect import Given, Template


def render(
    template: Template, messages: Sequence[Message], *, add_generation_prompt: bool = True, **values: Any
) -> PromptText:
    """The prompt of a conversation; `values` are the template's own. Blocking. Without messages the prompt is empty.

    Some templates refuse valid conversations. They are then given simpler ones: neighbours of the same role joined into
    one message, and instructions moved to the beginning of the user's message.

    Raises the TemplateError of the first attempt, and TemplateError if a message would leave no trace in the prompt.
    """
    if not messages:
        return PromptText("")
    dialect = dialect_of(template)
    first_error: TemplateError | None = None
    for shape in _shapes(messages, dialect):
        try:
            given = list(_given(shape, dialect))
            return template.render(given, add_generation_prompt=add_generation_prompt, **values)
        except TemplateError as error:
            first_error = first_error or error
    assert first_error is not None
    raise first_error


def _shapes(messages: Sequence[Message], dialect: Dialect) -> Iterator[list[Message]]:
    """The conversation as it is, then simpler forms. Parts without a place in the template are written as text."""
    written = list(_written(messages, dialect))
    for message in written:
        if message.content and message.role in dialect.mute - {"system"}:
            raise TemplateError(f"The model's chat template leaves out what the {message.role} says.")
    if not any(message.role == "system" for message in written):
        yield written
        yield merged(written)
        return
    if "system" not in dialect.mute:
        yield written
        yield merged(written)
    yield merged(folded(written))


def _written(messages: Sequence[Message], dialect: Dialect) -> Iterator[Message]:
    """The conversation with tool calls, their results and reasoning as text, if the template has no place for them."""
    for message in messages:
        if message.reasoning and not dialect.reasoning:
            thought = prompt_text("<think>\n", PromptText.of_content(message.reasoning), "\n</think>\n\n")
            message = replace(message, reasoning="", content=joined(thought, "", message.content))
        if message.tool_calls and dialect.calls is None:
            content = message.content
            for call in message.tool_calls:
                content = joined(content, "\n" if content else "", prompt_text(*_written_call(call)))
            message = replace(message, tool_calls=(), content=content)
        elif message.role == "tool" and dialect.calls is None and not dialect.tool_role:
            marked = joined(message.content, "", prompt_text("\n</tool_response>"))
            message = Message(role="user", content=joined(prompt_text("<tool_response>\n"), "", marked))
        yield message


def _written_call(call: ToolCall) -> Iterator[str | PromptText]:
    """The form that most models know. The tags are trusted; the model wrote what is inside them."""
    arguments = _arguments(call)
    written = call.arguments if isinstance(arguments, dict) and call.arguments else json.dumps(arguments)
    content = f'{{"name": {json.dumps(call.name, ensure_ascii=False)}, "arguments": {written}}}'
    yield "<tool_call>\n"
    yield PromptText.of_content(content)
    yield "\n</tool_call>"


def _given(messages: Sequence[Message], dialect: Dialect) -> Iterator[Given]:
    """The messages in the form that the template accepts."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    left = deque(messages)
    while left:
        message = left.popleft()
        if not message.tool_calls:
            yield _said(message, dialect, names)
            continue
        results = []
        while left and left[0].role == "tool":
            results.append(left.popleft())
        yield from _exchange(message, results, dialect, names)


def _said(message: Message, dialect: Dialect, names: Mapping[str, str]) -> Given:
    given: Given = {"role": message.role, "content": content_of(message.content, message.role in dialect.parts)}
    if message.role == "tool":
        call_id = message.tool_call_id or ""
        given["name"] = names.get(call_id) or message.name or ""
        given["tool_call_id"] = id_of(call_id, dialect.calls) if dialect.calls is not None else call_id
    elif message.name is not None:
        given["name"] = message.name
    if message.reasoning:
        given |= reasoning_fields(message.reasoning)
    return given


def _exchange(
    message: Message, results: Sequence[Message], dialect: Dialect, names: Mapping[str, str]
) -> Iterator[Given]:
    """Calls and their results, in the order of the calls."""
    form = dialect.calls
    assert form is not None  # else `_written` has made text of the calls
    content, calls = message.content, message.tool_calls
    if content and not form.beside:
        yield _said(replace(message, tool_calls=(), reasoning=""), dialect, names)
        content = ""
    reasoning = reasoning_fields(message.reasoning) if message.reasoning else {}
    for group in [(call,) for call in calls] if form.one_each else [calls]:
        empty = None if form.null_content else content_of("", "assistant" in dialect.parts)
        yield {
            "role": "assistant",
            "content": content_of(content, "assistant" in dialect.parts) if content else empty,
            "tool_calls": [call_of(call.id, call.name, _arguments(call), form) for call in group],
            **reasoning,
        }
        content, reasoning = "", {}
        for call in group:
            yield from (_said(result, dialect, names) for result in results if result.tool_call_id == call.id)
    known = {call.id for call in calls}
    yield from (_said(result, dialect, names) for result in results if result.tool_call_id not in known)


def _arguments(call: ToolCall) -> Any:
    """The arguments as an object, which most templates expect; text that is not an object stays text."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return call.arguments
    return arguments if isinstance(arguments, dict) else call.arguments
