"""What a chat template accepts, found out by trying.

Templates differ in how they treat a message. Some take a list of typed parts as content, some print a tool call's
arguments unchanged, and some have no tool calls at all. Most do not report what they leave out. Therefore small
conversations with made-up words are rendered once. Parts that do not appear in the prompt are later passed in another
way.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from oxillama.chat.history.calls import calling, probed_calls, result
from oxillama.chat.history.forms import ToolForm, content_of, tool_of
from oxillama.chat.history.probe import (
    ABOUT,
    CALLED,
    OTHER_RESULT,
    OTHER_SAID,
    PARAMETER,
    RESULT,
    SAID,
    THOUGHT,
    TOOL,
    Probe,
    said,
)
from oxillama.chat.tools import Tool

if TYPE_CHECKING:
    from oxillama.chat.formats.detect.probe import Template
    from oxillama.chat.history.forms import CallForm, Given

REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
TOOL_FORMS = (ToolForm(), ToolForm(flat=True), ToolForm("functions", flat=True), ToolForm("functions"))
SAMPLE = Tool(
    name=TOOL,
    description=ABOUT,
    parameters={
        "type": "object",
        "properties": {PARAMETER: {"type": "string", "description": "x"}},
        "required": [PARAMETER],
    },
)
# Texts between quotes that a template may look for in a message: where it splits, in brackets, and before `in`.
_TAGS = (
    re.compile(r"""(?:split|partition)\(\s*(['"])(?P<tag>[^'"\n]{2,60})\1"""),
    re.compile(r"""(['"])(?P<tag>[<\[][^'"\n]{1,60}[>\]])\1"""),
    re.compile(r"""(['"])(?P<tag>[^'"\n]*[<\[|>\]][^'"\n]*)\1\s+(?:not\s+)?in\s"""),
)


class Dialect:
    """What one template accepts. Each property is found on first use; threads may share it.

    tools: whether tools are offered. Many templates write the instructions in another place then, and a file may have
    another template for that case.
    """

    def __init__(self, template: Template, tools: bool = False) -> None:
        self._with_tools = tools
        self._bare = Probe(template)
        self._cut: dict[str, bool] = {}

    @cached_property
    def probe(self) -> Probe:
        """Renders as the conversations of this dialect are rendered."""
        values = dict(self.no_tools)
        if self.tools is not None:
            values[self.tools.variable] = [tool_of(SAMPLE, self.tools)]
        return self._bare.given(values)

    @cached_property
    def no_tools(self) -> dict[str, Any]:
        """The variables of a conversation without tools: several templates take an empty list, but not None."""
        user = [said("user", SAID)]
        return {"tools": []} if self._bare.text(user) is None and self._bare.shows(user, SAID, tools=[]) else {}

    @cached_property
    def tools(self) -> ToolForm | None:
        """How the template takes tools; None: it leaves them out, or none are offered."""
        if not self._with_tools:
            return None
        form = next((form for form in TOOL_FORMS if self._shows_tool(form, SAMPLE)), None)
        if form is not None and not self._shows_tool(form, Tool(name=TOOL)):
            return replace(form, filled=True)
        return form

    def _shows_tool(self, form: ToolForm, tool: Tool) -> bool:
        words = [TOOL, *([ABOUT] if tool.description else []), *([PARAMETER] if tool.parameters else [])]
        given = {form.variable: [tool_of(tool, form)]}
        return any(
            self._bare.shows([said("user", SAID, parts)], SAID, *words, **given)
            for parts in (frozenset[str](), frozenset({"user"}))
        )

    @cached_property
    def parts(self) -> frozenset[str]:
        """The roles whose content must be a list of typed parts."""
        return frozenset(role for role, form in self._forms.items() if form == "parts")

    @cached_property
    def mute(self) -> frozenset[str]:
        """The roles whose messages leave no trace in the prompt."""
        return frozenset(role for role, form in self._forms.items() if form is None)

    @cached_property
    def _forms(self) -> dict[str, str | None]:
        """Role → "text" or "parts"; None if neither appears in the prompt. Templates that refuse report it."""
        forms: dict[str, str | None] = {"user": self._form("user", [], []), "tool": "text"}
        others = {"role": "user", "content": content_of("x", forms["user"] == "parts")}
        forms["system"] = self._form("system", [], [others])
        forms["assistant"] = self._form("assistant", [others], [others])
        return forms

    def _form(self, role: str, before: list[Given], after: list[Given]) -> str | None:
        shown = {}
        for form in ("text", "parts"):
            message = {"role": role, "content": content_of(SAID, form == "parts")}
            shown[form] = self.probe.shows([*before, message, *after], SAID)
            if shown[form]:
                return form
        return None if shown["text"] is False else "text"

    @cached_property
    def system(self) -> Literal["anywhere", "first", "none"]:
        """Where instructions may be."""
        first, later = self._said("system", SAID), self._said("system", OTHER_SAID)
        user, assistant = self._said("user", "x"), self._said("assistant", "x")
        if not self.probe.shows([first, user], SAID):
            return "none"
        found = self.probe.shows([first, user, assistant, later, user], SAID, OTHER_SAID)
        return "anywhere" if found and self.probe.shows([first, later, user], SAID, OTHER_SAID) else "first"

    @cached_property
    def developer(self) -> bool:
        """Whether the role of developers is one of its own, and not printed as any unknown role is."""
        user = self._said("user", "x")
        own, unknown = (self.probe.text([said(role, SAID, self.parts), user]) for role in ("developer", "wraxipol"))
        return own is not None and SAID in own and own != (unknown or "").replace("wraxipol", "developer")

    @cached_property
    def loses_instructions(self) -> Literal["no", "first", "last"]:
        """Whether instructions vanish while the model works with tools, and to which user's message they belong.

        "first", "last": the user's message where they are shown when it is the user's turn to have spoken.
        """
        form = self.calls
        user, system = self._said("user", "x"), self._said("system", SAID)
        if form is None or self.system == "none":
            return "no"
        running = [*self.exchange(form), *self.exchange(form)]
        if self.probe.shows([system, user, *running], SAID) is not False:
            return "no"
        words = [system, self._said("user", OTHER_SAID), self._said("assistant", "x"), self._said("user", RESULT)]
        text = self.probe.text(words) or ""
        return "last" if -1 < text.find(OTHER_SAID) < text.find(SAID) else "first"

    @cached_property
    def alternates(self) -> bool:
        """Whether users and assistants must take turns; messages with calls and results do not count."""
        user, assistant = self._said("user", SAID), self._said("assistant", "x")
        twice = [user, self._said("user", OTHER_SAID)]
        again = [user, assistant, self._said("assistant", OTHER_SAID), user]
        return not (self.probe.shows(twice, SAID, OTHER_SAID) and self.probe.shows(again, SAID, OTHER_SAID))

    @cached_property
    def begins_with_user(self) -> bool:
        """Whether a user must be the first to speak, because the template takes the first message for a user's."""
        form = self.calls
        first = [self._said("assistant", SAID)] if form is None else self.exchange(form)
        return not self.probe.shows([*first, self._said("user", "x")], SAID if form is None else CALLED)

    @cached_property
    def calls(self) -> CallForm | None:
        """How tool calls and their results are passed; None: the template leaves them out, or takes none.

        If the template leaves out the tools that are offered, the instructions say how calls are written. Then those of
        the history are written like that, too, whatever the template would do.
        """
        if self._with_tools and self.tools is None:
            return None
        return probed_calls(self.probe, self.parts)

    def exchange(self, form: CallForm) -> list[Given]:
        """A call and its result."""
        return [calling(form, self.parts), result(form)]

    @cached_property
    def tool_role(self) -> bool:
        """Whether a tool's result appears in the prompt without a call before it, and not as if a user had said it."""
        messages = [self._said("user", "x"), self._said("assistant", "x")]
        text = self.probe.text([*messages, {"role": "tool", "content": RESULT, "name": "x"}])
        return text is not None and RESULT in text and text != self.probe.text([*messages, self._said("user", RESULT)])

    @cached_property
    def object_results(self) -> bool:
        """Whether a result that is a JSON object is passed as an object: as text it would be escaped."""
        form = self.calls
        if form is None:
            return False
        call, answer = self.exchange(form)
        before = [self._said("user", "x"), call]
        value = {OTHER_SAID: OTHER_RESULT}
        as_object = self.probe.text([*before, answer | {"content": value}]) or ""
        if not all(word in as_object for word in (OTHER_SAID, OTHER_RESULT)) or f"'{OTHER_SAID}'" in as_object:
            return False
        json_text = json.dumps(value)
        as_text = self.probe.text([*before, answer | {"content": json_text}]) or ""
        return json_text not in as_text or json_text not in as_object

    @cached_property
    def reasoning(self) -> Literal["fields", "part", "parts"] | None:
        """Where an assistant's reasoning goes: into fields of the message, or into a part of its content.

        "parts": a part of text within that part. The template may omit it in earlier turns, as in training.
        """
        kinds: tuple[Literal["fields", "part", "parts"], ...] = ("fields", "part", "parts")
        return next((kind for kind in kinds if self._shows_reasoning(kind)), None)

    def _shows_reasoning(self, kind: Literal["fields", "part", "parts"]) -> bool:
        user = self._said("user", "x")
        form = self.calls
        messages = [[user, self.with_reasoning(self._said("assistant", "x"), THOUGHT, kind)]]
        if form is not None:
            call, answer = self.exchange(form)
            messages.append([user, self.with_reasoning(call, THOUGHT, kind), answer])
        texts = (self.probe.text(one) or "" for one in messages)
        # A template that does not know parts may print them as Python or JSON.
        return any(THOUGHT in text and not re.search(r"['\"]type['\"]: *['\"]thinking", text) for text in texts)

    def with_reasoning(self, given: Given, thought: Any, kind: str | None = None) -> Given:
        """An assistant's message with its reasoning in the place where the template looks for it."""
        kind = kind or self.reasoning
        if kind == "fields":
            return given | dict.fromkeys(self.reasoning_fields, thought)
        inner = thought if kind == "part" else content_of(thought, True)
        content = given["content"]
        rest = content if isinstance(content, list) else content_of(content, True) if content else []
        return given | {"content": [{"type": "thinking", "thinking": inner}, *rest]}

    @cached_property
    def reasoning_fields(self) -> tuple[str, ...]:
        """The keys under which a template may look for reasoning; all of them if it does not say."""
        source = self._bare.source(self._with_tools)
        return tuple(name for name in REASONING_FIELDS if name in source) or REASONING_FIELDS

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """Texts that the template may look for in a message, the longest first."""
        source = self._bare.source(self._with_tools)
        found = {"</think>", *(match["tag"] for tag in _TAGS for match in tag.finditer(source))}
        return tuple(sorted(found, key=lambda tag: (-len(tag), tag)))

    def cuts(self, tag: str) -> bool:
        """Whether an assistant's text with this tag is refused, or loses what stands on one side of it."""
        known = self._cut.get(tag)
        if known is None:
            messages = [self._said("user", "x"), self._said("assistant", f"{SAID} {tag} {OTHER_SAID}")]
            after = [*messages, self._said("user", "x")]
            known = self._cut[tag] = not all(self.probe.shows(one, SAID, OTHER_SAID) for one in (messages, after))
        return known

    def _said(self, role: str, text: str) -> Given:
        return said(role, text, self.parts)


_known: WeakKeyDictionary[Any, dict[bool, Dialect]] = WeakKeyDictionary()


def dialect_of(template: Template, tools: bool = False) -> Dialect:
    """The template's dialect, found once per template. tools: of conversations in which tools are offered."""
    dialects = _known.setdefault(template, {})
    dialect = dialects.get(tools)
    if dialect is None:
        dialect = dialects.setdefault(tools, Dialect(template, tools))
    return dialect
