"""What a chat template writes, found out by rendering pairs of conversations that differ in one thing.

The words are those of no language, so that they are found in the prompt again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from oxillama.chat.formats.wire import Tags
from oxillama.errors import TemplateError

if TYPE_CHECKING:
    from oxillama.text import PromptText

ASKED, SAID, THOUGHT, CALLED, OTHER = "quimbaz", "zorbwyk", "plumqat", "fnirkad", "blixturg"
KEY, VALUE = "grelvox", "skwomp"
SECOND_KEY, SECOND_VALUE = "drumpit", "vashloy"
IDS = ("zw83hs01k", "zw83hs02k")
_TOOL = {
    "type": "function",
    "function": {
        "name": CALLED,
        "description": OTHER,
        "parameters": {"type": "object", "properties": {KEY: {"type": "string", "description": VALUE}}, "required": []},
    },
}

_ONE = {KEY: VALUE}
_PAIR = {KEY: VALUE, SECOND_KEY: SECOND_VALUE}

Given = dict[str, Any]


class Template(Protocol):
    """`oxillama.text.ChatTemplate`, as this layer uses it."""

    @property
    def source(self) -> str | None: ...

    @property
    def tool_source(self) -> str | None: ...

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **kwargs: Any,
    ) -> PromptText: ...


@dataclass(frozen=True, slots=True)
class _Form:
    """How messages are given. parts: content is a list of parts. text: arguments are text. null: no content is None."""

    parts: bool = False
    text: bool = False
    null: bool = False


_FORMS = (
    _Form(),
    _Form(null=True),
    _Form(text=True),
    _Form(text=True, null=True),
    _Form(parts=True),
    _Form(parts=True, text=True),
)


@dataclass(frozen=True, slots=True)
class Replies:
    """What a template writes for one call, for two (None: it takes one), and for one with two arguments."""

    one: str
    two: str | None
    pair: str | None

    def without(self, beginning: re.Pattern[str]) -> Replies:
        """The replies without what matches at their beginning."""
        found = (reply if reply is None else beginning.sub("", reply, 1) for reply in (self.two, self.pair))
        return Replies(beginning.sub("", self.one, 1), *found)

    def each(self) -> Iterator[tuple[str, int, int]]:
        """The replies, with how many calls and how many arguments they have."""
        yield self.one, 1, 1
        if self.two is not None:
            yield self.two, 2, 2
        if self.pair is not None:
            yield self.pair, 1, 2


class Probe:
    """Renders small conversations with one template. Blocking."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._form = _Form()

    def shows_tools(self) -> bool | None:
        """Whether the tools that are given reach the prompt. None: the template refuses them."""
        user = [_message("user", ASKED, self._form)]
        for messages in (user, [_message("system", SAID, self._form), *user]):
            text = self._render(messages, tools=[_TOOL])
            if text is not None:
                return CALLED in text
        return None

    def replies(self) -> Replies | None:
        """What the model is to write for calls, as its template writes them. None: the template shows no calls."""
        for form in _FORMS:
            self._form = form
            one = self._reply((CALLED, _ONE))
            if one is not None and _shows(one, CALLED, KEY, VALUE):
                two, pair = self._reply((CALLED, _ONE), (OTHER, _ONE)), self._reply((CALLED, _PAIR))
                return Replies(
                    one,
                    two if two is not None and _shows(two, CALLED, OTHER) else None,
                    pair if pair is not None and _shows(pair, *_PAIR, *_PAIR.values()) else None,
                )
        self._form = _Form()
        return None

    def reasoning(self) -> Tags | None:
        """The tags around the reasoning, if the template shows it."""
        user = _message("user", ASKED, self._form)
        thought = {"reasoning_content": THOUGHT, "reasoning": THOUGHT, "thinking": THOUGHT}
        said = _message("assistant", SAID, self._form)
        text = self._render([user, said | thought], add_generation_prompt=False)
        plain = self._render([user, said], add_generation_prompt=False)
        if text is None or plain is None or THOUGHT not in text or SAID not in text:
            return None
        before, _, rest = text.partition(THOUGHT)
        between, _, _ = rest.partition(SAID)
        prompt = common_start(text, plain)
        opening = before[len(prompt) :].strip()
        opening = opening or _last_tag(before)
        return Tags(opening, between.strip()) if opening and between.strip() else None

    def _reply(self, *calls: tuple[str, dict[str, str]]) -> str | None:
        """The assistant's turn with calls, without what stands before and after any turn."""
        user = _message("user", ASKED, self._form)
        given: Given = _message("assistant", "", self._form)
        if self._form.null:
            given["content"] = None
        given["tool_calls"] = [
            self._call(name, arguments, call_id) for (name, arguments), call_id in zip(calls, IDS, strict=False)
        ]
        turn = self._render([user, given], tools=[_TOOL], add_generation_prompt=False)
        said = self._render([user, _message("assistant", SAID, self._form)], tools=[_TOOL], add_generation_prompt=False)
        asked = self._render([user], tools=[_TOOL])
        if turn is None or said is None or asked is None or SAID not in said:
            return None
        start = len(common_start(turn, asked if turn.startswith(asked) else said))
        end = said[said.rfind(SAID) + len(SAID) :]
        return turn[start : len(turn) - len(common_end(turn, end))]

    def _call(self, name: str, arguments: Any, call_id: str) -> Given:
        function = {"name": name, "arguments": json.dumps(arguments) if self._form.text else arguments}
        return {"id": call_id, "type": "function", "function": function}

    def _render(self, messages: Sequence[Given], **values: Any) -> str | None:
        try:
            return self._template.render(messages, **values).text
        except TemplateError:
            return None


def _message(role: str, text: str, form: _Form) -> Given:
    return {"role": role, "content": [{"type": "text", "text": text}] if form.parts else text}


def _shows(text: str, *words: str) -> bool:
    return all(word in text for word in words)


def _last_tag(text: str) -> str:
    """The tag at the end of a text."""
    found = re.search(r"(<[^<>\s]+>|\[[A-Z_]+\])\s*$", text)
    return found[1] if found is not None else ""


def common_start(one: str, other: str) -> str:
    """What both texts begin with."""
    size = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:size]


def common_end(one: str, other: str) -> str:
    """What both texts end with."""
    return common_start(one[::-1], other[::-1])[::-1]


def objects_in(text: str) -> Iterator[tuple[int, int, Any]]:
    """The outermost JSON objects of a text: start, end, value."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
            continue
        yield at, end, value
        at = text.find("{", end)
