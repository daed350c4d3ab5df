"""The prompt format for a model whose file has no chat template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxillama.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MARKS = {
    "system": "<|system|>",
    "developer": "<|system|>",
    "user": "<|user|>",
    "tool": "<|user|>",
    "function": "<|user|>",
    "assistant": "<|assistant|>",
}


def format_prompt(messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = True) -> str:
    """Each message as its role's mark, its text and `<|end|>`, a line each; then the mark of the assistant.

    Content is a string, a list of text parts, or None. Raises TemplateError for a role or a part of another kind.
    """
    text = "".join(f"{_mark(message)}\n{_text(message.get('content'))}\n<|end|>\n" for message in messages)
    return text + "<|assistant|>\n" if add_generation_prompt else text


def _mark(message: Mapping[str, Any]) -> str:
    role = message.get("role")
    mark = _MARKS.get(role) if isinstance(role, str) else None
    if mark is None:
        raise TemplateError(f"The built-in chat template does not know the role {str(role)[:40]!r}.")
    return mark


def _text(content: object) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, (list, tuple)):
        return "".join(map(_part, content))
    raise TemplateError("The built-in chat template takes text, or a list of text parts, as content.")


def _part(part: object) -> str:
    text = part.get("text") if isinstance(part, dict) else None
    if not isinstance(text, str):
        raise TemplateError("The built-in chat template takes no content parts but text.")
    return text
