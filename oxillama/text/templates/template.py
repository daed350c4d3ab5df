"""A model's chat template: turns messages into the prompt format the model was trained on."""

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
    """The file's templates by name. The template without a name is "default"."""
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
    """Renders conversations. Threads may share it; rendering blocks, so async callers use a worker thread.

    source: the text of the default template; None if the file has none and the built-in format is used.
    tool_source: the text of the template that is used if tools are given.
    names: all templates of the file. If tools are given, the template "tool_use" is used where there is one.
    """

    def __init__(self, sources: Mapping[str, str], tokens: Mapping[str, str]) -> None:
        """sources: templates by name. tokens: texts of special tokens by variable name, such as bos_token."""
        self._sources = dict(sources)
        self._tokens = dict(tokens)
        self._processes = TemplateProcesses()
        self.names = tuple(self._sources)
        self.source = self._sources.get("default") or next(iter(self._sources.values()), None)
        self.tool_source = self._sources.get("tool_use", self.source)

    @classmethod
    def from_gguf(cls, gguf: GGUFFile, tokenizer: Tokenizer) -> ChatTemplate:
        """The templates of an opened file. Raises ModelFormatError for a template that is not a string or too long."""
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
        """Render the prompt. `template` picks a template by name; `kwargs` (documents, enable_thinking, …) go to it.

        Every string in the arguments is content, so texts of control tokens in it stay text. A PromptText marks itself
        which of its characters are content.

        Raises TemplateError if the template refuses the conversation, has an error, or exceeds its limits of processor
        time, memory or output.
        """
        source = self._pick(template, bool(tools or kwargs.get("functions")))
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
