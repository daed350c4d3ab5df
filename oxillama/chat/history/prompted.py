"""Tools for models whose template has no place for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from oxillama.chat.conversation import ToolCall
from oxillama.chat.history.forms import ToolForm, tool_of
from oxillama.text import PromptText
from oxillama.text.prompt_text import prompt_text

if TYPE_CHECKING:
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


def tools_text(tools: Sequence[Tool], write: Writer) -> PromptText:
    """The system text. What the client wrote about the tools is content. write: as the model is to write calls."""
    pieces: list[str | PromptText] = [_BEFORE]
    for tool in tools:
        line = json.dumps(tool_of(tool, ToolForm(filled=True)), ensure_ascii=False)
        pieces += (PromptText.of_content(line), "\n")
    return prompt_text(*pieces, _AFTER, write([_EXAMPLE]), _LAST)
