"""How tools are offered: by the template, by the template with simpler schemas, or in the instructions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oxillama.chat.conversation import ToolCall
from oxillama.chat.history.forms import DEEPEST, Given, ToolForm, tool_of
from oxillama.chat.history.turns import with_instructions
from oxillama.errors import TemplateError
from oxillama.text import PromptText
from oxillama.text.prompt_text import prompt_text

if TYPE_CHECKING:
    from oxillama.chat.conversation import Message
    from oxillama.chat.tools import Tool

Writer = Callable[[Sequence[ToolCall]], PromptText]
"""Writes calls as the model does. The markers are trusted; what the model wrote between them is content."""

_BEFORE = """# Tools

You can call these functions to help the user. Each is described by a JSON object:
<tools>
"""
_AFTER = """</tools>

To call a function, write its name and its arguments like this:
"""
_LAST = """
Several calls follow one another. Their results come back in the next message. If no function helps, answer as usual."""
_EXAMPLE = ToolCall(id="call_1", name="name_of_function", arguments='{"name_of_argument": "value"}')


def offers(
    messages: Sequence[Message], tools: Sequence[Tool], form: ToolForm | None, write: Writer
) -> Iterator[tuple[Sequence[Message], dict[str, Any]]]:
    """The ways to offer the tools, the best one first: the messages, and variables for the template.

    form: how the template takes tools; None: it leaves them out. Templates that print schemas in their own language
    fail at some that are valid. write: as the model is to write calls.

    Raises TemplateError if a schema is not JSON.
    """
    if not tools:
        yield messages, {}
        return
    if form is not None:
        yield messages, {form.variable: [tool_of(tool, form) for tool in tools]}
        simpler = [replace(tool, parameters=_simpler(tool.parameters)) for tool in tools]
        if simpler != tools:
            yield messages, {form.variable: [tool_of(tool, form) for tool in simpler]}
    yield with_instructions(messages, tools_text(tools, write)), {}


def _simpler(schema: Any, depth: int = 0) -> Any:
    """A schema with one type for each value, and without defaults; too deep ones are left out."""
    if not isinstance(schema, Mapping) or depth > DEEPEST:
        return {} if depth > DEEPEST else schema
    found: Given = {}
    for keyword, value in schema.items():
        match keyword, value:
            case "type", list():
                found[keyword] = next((kind for kind in value if kind != "null"), "null")
            case "default", _:
                pass
            case "description", _:
                found[keyword] = str(value or "")
            case "required", _:
                found[keyword] = value if isinstance(value, list) else []
            case "properties", _:
                properties = value if isinstance(value, Mapping) else {}
                found[keyword] = {name: _simpler(inner, depth + 1) for name, inner in properties.items()}
            case _, list():
                found[keyword] = [_simpler(inner, depth + 1) for inner in value]
            case _:
                found[keyword] = _simpler(value, depth + 1)
    return found


def tools_text(tools: Sequence[Tool], write: Writer) -> PromptText:
    """The system text. What the client wrote about the tools is content."""
    pieces: list[str | PromptText] = [_BEFORE]
    for tool in tools:
        try:
            line = json.dumps(tool_of(tool, ToolForm(filled=True)), ensure_ascii=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TemplateError(f"The schema of the tool {tool.name[:64]!r} is not JSON: {error}") from None
        pieces += (PromptText.of_content(line), "\n")
    return prompt_text(*pieces, _AFTER, write([_EXAMPLE]), _LAST)
