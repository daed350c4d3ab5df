"""The chat format: ChatML, with functions in the format of the Hermes models.

TEMPLATE goes into the model file. `render` does the same in Python and is fast enough for training; a test compares
the two.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

START, END, TEXT_END = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
CALL, CALL_END = "<tool_call>", "</tool_call>"

TEMPLATE = """\
{%- macro text(content) -%}
{%- if content is string -%}{{ content }}
{%- elif content -%}{%- for part in content -%}{{ part.text }}{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{%- set first = messages[0] if messages else none -%}
{%- set system = text(first.content) if first and first.role in ('system', 'developer') else '' -%}
{%- if system or tools -%}
{{ '<|im_start|>system\\n' + system }}
{%- if tools -%}
{{ ('\\n\\n' if system else '') + 'Functions:' }}
{%- for tool in tools %}{{ '\\n' + ((tool.function or tool) | tojson) }}{%- endfor -%}
{{ '\\nCall one as <tool_call>\\n{"name": NAME, "arguments": {...}}\\n</tool_call>' }}
{%- endif -%}
{{ '<|im_end|>\\n' }}
{%- endif -%}
{%- for message in messages -%}
{%- if loop.first and message.role in ('system', 'developer') -%}
{%- else -%}
{{ '<|im_start|>' + ('system' if message.role == 'developer' else message.role) + '\\n' + text(message.content) }}
{%- for call in message.tool_calls or [] -%}
{%- set f = call.function or call -%}
{{ '\\n' if message.content or not loop.first else '' }}{{ '<tool_call>\\n{"name": "' + f.name + '", "arguments": ' }}
{{- f.arguments if f.arguments is string else f.arguments | tojson }}{{ '}\\n</tool_call>' }}
{%- endfor -%}
{{ '<|im_end|>\\n' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif -%}
"""

Message = Mapping[str, Any]


def opening(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None) -> str:
    """The system turn with the system prompt and the functions; "" if there are none."""
    system = messages[0]["content"] if messages and messages[0]["role"] == "system" else ""
    if not system and not tools:
        return ""
    text = f"{START}system\n{system}"
    if tools:
        text += ("\n\n" if system else "") + "Functions:"
        text += "".join("\n" + json.dumps(tool["function"], ensure_ascii=False) for tool in tools)
        text += f'\nCall one as {CALL}\n{{"name": NAME, "arguments": {{...}}}}\n{CALL_END}'
    return text + f"{END}\n"


def pieces(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None) -> list[tuple[str, bool]]:
    """A conversation as pieces of text, each with whether the model learns to write it.

    It learns the assistant's messages, unless their "learnt" is False, or those of their "parts" that say so.
    """
    found = [(opening(messages, tools), False)]
    for message in messages[messages[0]["role"] == "system" :]:
        learnt = message["role"] == "assistant" and message.get("learnt", True)
        parts = message.get("parts", [(message["content"], learnt)])
        *earlier, (last, flag) = parts
        found += [(f"{START}{message['role']}\n", False), *earlier, (last + END, flag), ("\n", False)]
    return [piece for piece in found if piece[0]]


def render(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None) -> str:
    """The prompt for the next answer in a conversation."""
    return "".join(text for text, _ in pieces(messages, tools)) + f"{START}assistant\n"


def call_text(name: str, arguments: Mapping[str, Any]) -> str:
    """A call as the model writes it."""
    return f"{CALL}\n" + json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False) + f"\n{CALL_END}"
