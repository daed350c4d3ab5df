"""A model's chat template: messages to the prompt the model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxillama.errors import ModelFormatError, TemplateError
from oxillama.text.templates.builtin import format_prompt
from oxillama.text.templates.process import TemplateProcesses
from oxillama.text.tokenizers.metadata import Metadata, get_str

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oxillama.gguf import GGUFFile
    from oxillama.text.prompt_text import PromptText
    from oxillama.text.tokenizers.tokenizer import Tokenizer

_KEY = "tokenizer.chat_template"
_MAX_SOURCE = 1 << 20


def _sources(metadata: Metadata) -> dict[str, str]:
    """The file's templates by name; "default" is the unnamed one."""
    found: dict[str, str] = {}
    for key in metadata:
        if key != _KEY and not key.startswith(_KEY + "."):
            continue
        source = get_str(metadata, key)
        if source is None or not source.strip():
            continue
        if len(source) > _MAX_SOURCE:
            raise ModelFormatError(f"{key} is {len(source)} characters long; at most {_MAX_SOURCE} are allowed.")
        found[key[len(_KEY) + 1 :] or "default"] = source
    return found


class ChatTemplate:
    """Renders conversations. Threads may share it; rendering blocks, so async callers go through a worker thread.

    source: the text of the default template; None where the file has none and the built-in one is used.
    names: all templates of the file; "tool_use" is taken by itself when tools are given.
    """

    def __init__(self, sources: Mapping[str, str], tokens: Mapping[str, str]) -> None:
        """`tokens`: what templates may call by name, such as bos_token."""
        self._sources = dict(sources)
        self._tokens = dict(tokens)
        self._processes = TemplateProcesses()
        self.names = tuple(self._sources)
        self.source = self._sources.get("default") or next(iter(self._sources.values()), None)

    @classmethod
    def from_gguf(cls, gguf: GGUFFile, tokenizer: Tokenizer) -> ChatTemplate:
        """The templates of an opened file. Raises ModelFormatError for a key that is no text."""
        try:
            return cls(_sources(gguf.metadata), tokenizer.special_texts)
        except ModelFormatError as error:
            raise ModelFormatError(f"{gguf.path}: {error}") from None

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        template: str | None = None,
        **kwargs: Any,
    ) -> PromptText:
        """The prompt. `template` picks one by name; `kwargs` (documents, enable_thinking, …) are passed to it.

        Every string in the arguments is content, in which texts of control tokens mean nothing, unless it is a
        PromptText, which says so itself. Raises TemplateError, in one line, when the template refuses the
        conversation, is wrong, or exceeds its limits of processor time, memory or output.
        """
        source = self._pick(template, tools is not None)
        if source is None:
            if tools:
                raise TemplateError("This model has no chat template, so it cannot be given tools.")
            return format_prompt(messages, add_generation_prompt=add_generation_prompt)
        context = {
            **kwargs,
            "messages": list(messages),
            "tools": None if tools is None else list(tools),
            "documents": kwargs.get("documents"),
            "add_generation_prompt": add_generation_prompt,
        }
        own = {name: text for name, text in self._tokens.items() if name not in context}
        return self._processes.render(source, own, context)

    def close(self) -> None:
        """End the child processes; a later `render` starts new ones."""
        self._processes.close()

    def _pick(self, name: str | None, with_tools: bool) -> str | None:
        if name is not None:
            if name not in self._sources:
                known = ", ".join(self.names) or "none"
                raise TemplateError(f"This model has no chat template {name[:60]!r}; it has: {known}.")
            return self._sources[name]
        if with_tools and "tool_use" in self._sources:
            return self._sources["tool_use"]
        return self.source
