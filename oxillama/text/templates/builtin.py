"""The built-in prompt format, for models whose file has no chat template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxillama.errors import TemplateError
from oxillama.text.prompt_text import PromptText, prompt_text

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


def format_prompt(messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = True) -> PromptText:
    """Write each message as three lines: the role's tag, the text, and `<|end|>`; then the assistant's tag.

    Content is a string, a PromptText, a list of text parts, or None. Raises TemplateError for any other role or part.
    """
    pieces: list[str | PromptText] = []
    for message in messages:
        pieces += (_mark(message), "\n", *_text(message.get("content")), "\n<|end|>\n")
    return prompt_text(*pieces, "<|assistant|>\n" if add_generation_prompt else "")


def _mark(message: Mapping[str, Any]) -> str:
    role = message.get("role")
    mark = _MARKS.get(role) if isinstance(role, str) else None
    if mark is None:
        raise TemplateError(f"The built-in chat template does not know the role {str(role)[:40]!r}.")
    return mark


def _text(content: object) -> list[PromptText]:
    if content is None:
        return []
    if isinstance(content, (str, PromptText)):
        return [_content(content)]
    if isinstance(content, (list, tuple)):
        return list(map(_part, content))
    raise TemplateError("The built-in chat template takes text, or a list of text parts, as content.")


def _content(text: str | PromptText) -> PromptText:
    return PromptText.of_content(text) if isinstance(text, str) else text


def _part(part: object) -> PromptText:
    text = part.get("text") if isinstance(part, dict) else None
    if not isinstance(text, (str, PromptText)):
        raise TemplateError("The built-in chat template takes no content parts but text.")
    return _content(text)
