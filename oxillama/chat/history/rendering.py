"""Rendering a conversation with a chat template, so that all of it reaches the prompt."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oxillama.chat.conversation import Message
from oxillama.chat.formats.detect import PROMPTED
from oxillama.chat.history.dialect import Dialect, dialect_of
from oxillama.chat.history.forms import call_of, content_of, json_object
from oxillama.chat.history.lost import marked, missing, shows
from oxillama.chat.history.offering import offers
from oxillama.chat.history.pairing import paired
from oxillama.chat.history.turns import GAP, alternating, begun, folded, placed, split
from oxillama.chat.history.writing import without_tags, written
from oxillama.errors import TemplateError
from oxillama.text import PromptText

if TYPE_CHECKING:
    from oxillama.chat.formats.detect.probe import Template
    from oxillama.chat.history.forms import CallForm, Given
    from oxillama.chat.history.offering import Writer
    from oxillama.chat.tools import Tool


def render(
    template: Template,
    messages: Sequence[Message],
    *,
    tools: Sequence[Tool] = (),
    write: Writer = PROMPTED.shape.write,
    add_generation_prompt: bool = True,
    **values: Any,
) -> PromptText:
    """The prompt of a conversation; `values` are the template's own. Blocking. Without messages the prompt is empty.

    tools: what the model may call; if the template has no place for them, they are listed in the instructions. write:
    writes calls as the model does, if the template has no place for them, and to show the model how.

    Some templates refuse valid conversations. They are then given simpler ones: users and assistants in turn, and
    instructions at the beginning of the user's message.

    Raises the TemplateError of the first attempt, and TemplateError if a message would leave no trace in the prompt.
    """
    if not messages:
        return PromptText("")
    dialect = dialect_of(template, bool(tools))
    values = values | {"add_generation_prompt": add_generation_prompt} | dialect.no_tools
    first_error: TemplateError | None = None
    for offered, variables in offers(messages, tools, dialect.tools, write):
        for shape in _shapes(offered, dialect, write):
            try:
                prompt = _whole(template, list(_given(shape, dialect)), values | variables)
            except TemplateError as error:
                first_error = first_error or error
                continue
            if any(shows(prompt.text, tool.name) for tool in tools) or not tools:
                return prompt
    raise first_error or TemplateError("The model's chat template leaves out the tools.")


def _whole(template: Template, given: Sequence[Given], values: dict[str, Any]) -> PromptText:
    """The prompt. Raises TemplateError if the template leaves out a message."""
    prompt = template.render(given, **values)
    places = missing(given, prompt.text)
    if places:
        again, words = marked(given, places)
        text = template.render(again, **values).text.lower()
        if not all(word in text for word in words):
            role = given[places[0]]["role"]
            raise TemplateError(f"The model's chat template leaves out what the {role} says.")
    return prompt


def _shapes(messages: Sequence[Message], dialect: Dialect, write: Writer) -> Iterator[list[Message]]:
    """The conversation as this template should take it, then simpler forms."""
    messages = paired(messages, dialect.calls.ids if dialect.calls is not None else "any")
    messages = [without_tags(message, dialect) for message in messages]
    messages = list(written(messages, dialect, write))
    whole = split(placed(messages, dialect), dialect)
    if not dialect.alternates:
        yield begun(whole, dialect)
    yield alternating(whole)
    yield alternating(split(folded(messages), dialect))


def _given(messages: Sequence[Message], dialect: Dialect) -> Iterator[Given]:
    """The messages in the form that the template accepts."""
    left = deque(messages)
    while left:
        message = left.popleft()
        if not message.tool_calls:
            yield _said(message, dialect)
            continue
        results = []
        while left and left[0].role == "tool":
            results.append(left.popleft())
        yield from _exchange(message, results, dialect)


def _said(message: Message, dialect: Dialect) -> Given:
    content = content_of(message.content, message.role in dialect.parts)
    given: Given = {"role": message.role, "content": content}
    if message.role == "tool":
        given |= {"name": message.name or "", "tool_call_id": message.tool_call_id or ""}
        if dialect.object_results and isinstance(message.content, str):
            found = json_object(message.content)
            given["content"] = content if found is None else found
    elif message.name is not None:
        given["name"] = message.name
    return dialect.with_reasoning(given, message.reasoning) if message.reasoning else given


def _exchange(message: Message, results: Sequence[Message], dialect: Dialect) -> Iterator[Given]:
    """Calls and their results, in as many messages as the template wants."""
    form = dialect.calls
    assert form is not None  # else `written` has made text of the calls
    if message.content and message.reasoning and form.thought_or_text:
        content = message.content if isinstance(message.content, str) else message.content.text
        message = replace(message, content="", reasoning=message.reasoning + GAP + content)
    if not form.one_each:
        yield _calling(message, form, dialect)
        yield from (_said(result, dialect) for result in results)
        return
    known = {call.id for call in message.tool_calls}
    for call in message.tool_calls:
        yield _calling(replace(message, tool_calls=(call,)), form, dialect)
        yield from (_said(result, dialect) for result in results if result.tool_call_id == call.id)
        message = replace(message, content="", reasoning="")
    yield from (_said(result, dialect) for result in results if result.tool_call_id not in known)


def _calling(message: Message, form: CallForm, dialect: Dialect) -> Given:
    empty = None if form.null_content else content_of("", "assistant" in dialect.parts)
    given: Given = {
        "role": "assistant",
        "content": content_of(message.content, "assistant" in dialect.parts) if message.content else empty,
        "tool_calls": [call_of(call.id, call.name, _arguments(call.arguments), form) for call in message.tool_calls],
    }
    return dialect.with_reasoning(given, message.reasoning) if message.reasoning else given


def _arguments(text: str) -> Any:
    """The arguments as an object, which most templates expect; text that is not an object stays text."""
    found = json_object(text or "{}")
    return text if found is None else found
