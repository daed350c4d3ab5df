"""What a chat template accepts, found out by trying.

Templates differ in how they treat a message. Some take a list of typed parts as content, some print a tool call's
arguments unchanged, and some have no tool calls at all. Most do not report what they leave out. Therefore small
conversations with made-up words are rendered once. Parts that do not appear in the prompt are later passed in another
way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary, ref

from oxillama.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from oxillama.text import PromptText

Given = dict[str, Any]
"""A message in the form that templates receive."""

# Words of no language, in small letters only: templates may change the case.
SAID, THOUGHT, CALLED, KEY, VALUE, RESULT = "zorbwyk", "plumqat", "fnirkad", "grelvox", "skwomp", "dwefjint"
OTHER_CALLED, OTHER_RESULT = "blixturg", "hovquim"


class Template(Protocol):
    """`oxillama.text.ChatTemplate`, as this layer uses it."""

    def render(
        self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = True, **kwargs: Any
    ) -> PromptText: ...


@dataclass(frozen=True, slots=True)
class CallForm:
    """The form of tool calls that a template accepts.

    text_arguments: arguments as JSON text, not as an object. null_content: a message with calls has None as content.
    short_ids: ids are nine letters or digits. one_each: one call per message. beside: a message with calls may have
    text too.
    """

    text_arguments: bool = False
    null_content: bool = False
    short_ids: bool = False
    one_each: bool = False
    beside: bool = True


class Dialect:
    """What one template accepts. Each property is found on first use; threads may share it."""

    def __init__(self, template: Template) -> None:
        self._template = ref(template)  # which is what keeps a dialect in `_known`

    @cached_property
    def parts(self) -> frozenset[str]:
        """The roles whose content must be a list of typed parts."""
        return frozenset(role for role, form in self._forms.items() if form == "parts")

    @cached_property
    def mute(self) -> frozenset[str]:
        """The roles whose messages leave no trace in the prompt."""
        return frozenset(role for role, form in self._forms.items() if form is None)

    @cached_property
    def calls(self) -> CallForm | None:
        """How tool calls and their results are passed; None: the template leaves them out, or takes none."""
        form = next((form for form in self._call_forms() if self._shows_calls(form)), None)
        if form is None:
            return None
        one_each = not self._shows_two_calls(form)
        beside = self._shows([self._user(), self._calling(form, SAID), self._result(form)], SAID, CALLED, VALUE)
        return CallForm(form.text_arguments, form.null_content, form.short_ids, one_each, bool(beside))

    @cached_property
    def tool_role(self) -> bool:
        """Whether a tool's result appears in the prompt without a call before it."""
        assistant = self._message("assistant", "x")
        return bool(self._shows([self._user(), assistant, {"role": "tool", "content": RESULT, "name": "x"}], RESULT))

    @cached_property
    def reasoning(self) -> bool:
        """Whether the template prints an assistant's reasoning. It may omit it in earlier turns, as in training."""
        thought = reasoning_fields(THOUGHT)
        if self._shows([self._user(), self._message("assistant", "x") | thought], THOUGHT):
            return True
        form = self.calls
        if form is None:
            return False
        return bool(self._shows([self._user(), self._calling(form) | thought, self._result(form)], THOUGHT))

    @cached_property
    def _forms(self) -> dict[str, str | None]:
        """Role → "text" or "parts"; None if neither appears in the prompt. Templates that refuse report it."""
        forms: dict[str, str | None] = {"user": self._form("user", [], []), "tool": "text"}
        user = content_of("x", forms["user"] == "parts")
        others = {"role": "user", "content": user}
        forms["system"] = self._form("system", [], [others])
        forms["assistant"] = self._form("assistant", [others], [others])
        return forms

    def _form(self, role: str, before: list[Given], after: list[Given]) -> str | None:
        shown = {}
        for form in ("text", "parts"):
            message = {"role": role, "content": content_of(SAID, form == "parts")}
            shown[form] = self._shows([*before, message, *after], SAID)
            if shown[form]:
                return form
        return None if shown["text"] is False else "text"

    def _shows(self, messages: list[Given], *words: str) -> bool | None:
        """Whether all the words are in the prompt; None if the template refuses the messages."""
        template = self._template()
        assert template is not None
        try:
            text = template.render(messages).text.lower()
        except TemplateError:
            return None
        return all(word in text for word in words)

    def _call_forms(self) -> Iterator[CallForm]:
        for short_ids in (False, True):
            for text_arguments in (False, True):
                for null_content in (False, True):
                    yield CallForm(text_arguments, null_content, short_ids)

    def _shows_calls(self, form: CallForm) -> bool:
        messages = [self._user(), self._calling(form), self._result(form)]
        if not self._shows(messages, CALLED, KEY, VALUE, RESULT):
            return False
        # A template that prints an object unchanged prints Python, not JSON.
        return not self._shows(messages, f"'{KEY}': '{VALUE}'")

    def _shows_two_calls(self, form: CallForm) -> bool:
        two = self._calling(form)
        two["tool_calls"].append(call_of("call_zw83hs02k", OTHER_CALLED, {KEY: VALUE}, form))
        other = {"role": "tool", "content": OTHER_RESULT, "name": OTHER_CALLED}
        other["tool_call_id"] = two["tool_calls"][1]["id"]
        return bool(self._shows([self._user(), two, self._result(form), other], CALLED, OTHER_CALLED, OTHER_RESULT))

    def _user(self) -> Given:
        return self._message("user", "x")

    def _message(self, role: str, text: str) -> Given:
        return {"role": role, "content": content_of(text, role in self.parts)}

    def _calling(self, form: CallForm, text: str = "") -> Given:
        content = None if form.null_content and not text else content_of(text, "assistant" in self.parts)
        calls = [call_of("call_zw83hs01k", CALLED, {KEY: VALUE}, form)]
        return {"role": "assistant", "content": content, "tool_calls": calls}

    def _result(self, form: CallForm) -> Given:
        call_id = id_of("call_zw83hs01k", form)
        return {"role": "tool", "content": RESULT, "name": CALLED, "tool_call_id": call_id}


def content_of(text: str | PromptText, parts: bool) -> Any:
    return [{"type": "text", "text": text}] if parts else text


def call_of(call_id: str, name: str, arguments: Any, form: CallForm) -> Given:
    """arguments: an object, or a text that is not an object."""
    if form.text_arguments and not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    function = {"name": name, "arguments": arguments}
    return {"id": id_of(call_id, form), "type": "function", "function": function}


def id_of(call_id: str, form: CallForm) -> str:
    """The id of a call; if ids must be short, nine characters that depend only on the id."""
    if not form.short_ids or (len(call_id) == 9 and call_id.isalnum() and call_id.isascii()):
        return call_id
    return sha256(call_id.encode("utf-8", "replace")).hexdigest()[:9]


def reasoning_fields(text: str) -> Given:
    """The reasoning under every key that templates use for it."""
    return {"reasoning_content": text, "reasoning": text, "thinking": text}


_known: WeakKeyDictionary[Any, Dialect] = WeakKeyDictionary()


def dialect_of(template: Template) -> Dialect:
    """The template's dialect, found once per template."""
    dialect = _known.get(template)
    if dialect is None:
        dialect = _known.setdefault(template, Dialect(template))
    return dialect
