"""Arguments on their way back into a prompt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oxillama.chat.conversation import ToolCall


def arguments_text(call: ToolCall) -> str:
    """The call's arguments as they were written, if they are the text of an object; else an empty object."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return "{}"
    return call.arguments if isinstance(arguments, dict) and call.arguments else "{}"
