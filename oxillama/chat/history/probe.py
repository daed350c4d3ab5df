"""Small conversations of made-up words: which of the words are in a template's prompt says what it does with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from oxillama.chat.history.forms import content_of
from oxillama.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oxillama.chat.formats.detect.probe import Template
    from oxillama.chat.history.forms import Given

# Words of no language, in small letters only: templates may change the case.
SAID, THOUGHT, CALLED, KEY, VALUE, RESULT = "zorbwyk", "plumqat", "fnirkad", "grelvox", "skwomp", "dwefjint"
OTHER_SAID, OTHER_CALLED, OTHER_RESULT = "quibdrel", "blixturg", "hovquim"
TOOL, ABOUT, PARAMETER = "vrontzif", "klemdup", "jostwig"


class Probe:
    """Renders conversations with one template."""

    def __init__(self, template: Template) -> None:
        self._template = ref(template)  # dialects are kept as long as their template, which must not keep itself
        self._values: Mapping[str, Any] = {}

    def given(self, values: Mapping[str, Any]) -> Probe:
        """The same with variables that every rendering has."""
        template = self._template()
        assert template is not None
        other = Probe(template)
        other._values = values
        return other

    def text(self, messages: Sequence[Given], **values: Any) -> str | None:
        """The prompt in small letters; None if the template refuses the messages."""
        template = self._template()
        assert template is not None
        try:
            return template.render(messages, **{**self._values, **values}).text.lower()
        except TemplateError:
            return None

    def shows(self, messages: Sequence[Given], *words: str, **values: Any) -> bool | None:
        """Whether all the words are in the prompt; None if the template refuses the messages."""
        text = self.text(messages, **values)
        return None if text is None else all(word in text for word in words)

    def source(self, tools: bool) -> str:
        """The template's text; empty if it has none."""
        template = self._template()
        assert template is not None
        return (template.tool_source if tools else template.source) or ""


def said(role: str, text: str, parts: frozenset[str] = frozenset()) -> Given:
    """A message. parts: the roles whose content is a list of parts."""
    return {"role": role, "content": content_of(text, role in parts)}
