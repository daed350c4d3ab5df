"""The form of tool calls that a template accepts, found out by trying."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from oxillama.chat.history.forms import CallForm, Ids, call_of, content_of
from oxillama.chat.history.probe import (
    CALLED,
    KEY,
    OTHER_CALLED,
    OTHER_RESULT,
    RESULT,
    SAID,
    THOUGHT,
    VALUE,
    Probe,
    said,
)

if TYPE_CHECKING:
    from oxillama.chat.history.forms import Given

IDS: dict[Ids, tuple[str, str]] = {
    "any": ("call_zw83hs01k", "call_zw83hs02k"),
    "short": ("zw83hs01k", "zw83hs02k"),
    "functions": (f"functions.{CALLED}:0", f"functions.{OTHER_CALLED}:1"),
}
"""Ids of two calls in every form."""


def calling(form: CallForm, parts: frozenset[str], text: str = "", *, arguments: Any = None) -> Given:
    """An assistant's message with a call."""
    content = None if form.null_content and not text else content_of(text, "assistant" in parts)
    call = call_of(IDS[form.ids][0], CALLED, {KEY: VALUE} if arguments is None else arguments, form)
    return {"role": "assistant", "content": content, "tool_calls": [call]}


def result(form: CallForm) -> Given:
    """The result of the call."""
    return {"role": "tool", "content": RESULT, "name": CALLED, "tool_call_id": IDS[form.ids][0]}


def probed_calls(probe: Probe, parts: frozenset[str]) -> CallForm | None:
    """The form in which the template shows calls and their results; None: it does not."""
    return next((form.found() for form in _forms(probe, parts)), None)


def _forms(probe: Probe, parts: frozenset[str]) -> Iterator[_Tried]:
    """The forms that show a call, the usual ones first. Content is "" or None, whatever makes the shorter prompt."""
    for ids in IDS:
        for text_arguments in (False, True):
            forms = [_Tried(probe, parts, CallForm(text_arguments, null, ids)) for null in (False, True)]
            yield from sorted((form for form in forms if form.shown), key=lambda form: len(form.shown))


class _Tried:
    """One form, and what the template does with it."""

    def __init__(self, probe: Probe, parts: frozenset[str], form: CallForm) -> None:
        self._probe = probe
        self._parts = parts
        self._form = form
        self._user = said("user", "x", parts)
        self.shown = self._text(self._calling(), CALLED, KEY, VALUE)
        if f"'{KEY}': '{VALUE}'" in self.shown:  # a template that prints an object unchanged prints Python, not JSON
            self.shown = ""

    def found(self) -> CallForm:
        """The form with all that is to know about it."""
        raw = "{" + f'"{KEY}" {VALUE}'  # a model's call with broken JSON
        nested = self._text(self._calling(arguments={KEY: {VALUE: "x"}}), CALLED, KEY, VALUE)
        bare = f"'{VALUE}'" not in self.shown and f'"{VALUE}"' not in self.shown  # a tagged shape, not JSON or Python
        return replace(
            self._form,
            one_each=not self._shows_two(),
            beside=self._beside(),
            thought_or_text=self._refuses_both(),
            raw_text=bool(self._text(self._calling(arguments=raw, raw=True), CALLED, raw)),
            json_values=not nested or (bare and f"'{VALUE}'" in nested),
        )

    def _calling(self, text: str = "", *, arguments: Any = None, raw: bool = False) -> Given:
        return calling(replace(self._form, raw_text=raw), self._parts, text, arguments=arguments)

    def _text(self, message: Given, *words: str) -> str:
        """The prompt of a call and its result if all the words are in it, else nothing."""
        text = self._probe.text([self._user, message, result(self._form)])
        return text if text is not None and all(word in text for word in (*words, RESULT)) else ""

    def _shows_two(self) -> bool:
        two = self._calling()
        other_id = IDS[self._form.ids][1]
        two["tool_calls"].append(call_of(other_id, OTHER_CALLED, {KEY: VALUE}, self._form))
        other = {"role": "tool", "content": OTHER_RESULT, "name": OTHER_CALLED, "tool_call_id": other_id}
        words = (CALLED, OTHER_CALLED, RESULT, OTHER_RESULT)
        return bool(self._probe.shows([self._user, two, result(self._form), other], *words))

    def _beside(self) -> Literal["always", "running", "never"]:
        message = self._calling(SAID)
        if not self._text(message, SAID, CALLED, VALUE):
            return "never"
        after = [said("assistant", "x", self._parts), self._user]
        shown = self._probe.shows([self._user, message, result(self._form), *after], SAID, CALLED)
        return "always" if shown else "running"

    def _refuses_both(self) -> bool:
        message = self._calling(SAID) | dict.fromkeys(("reasoning_content", "reasoning", "thinking"), THOUGHT)
        messages = [self._user, message, result(self._form)]
        return self._probe.text(messages) is None and self._probe.text([self._user, self._calling(SAID)]) is not None
