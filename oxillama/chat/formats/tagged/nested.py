"""Calls in tags whose names are the arguments' names, nested as deep as the arguments: shape XT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oxillama.chat.formats.members import Number, decoded, members_of
from oxillama.chat.formats.shape import Lark
from oxillama.chat.formats.tagged.layout import NestedLayout
from oxillama.chat.formats.tagged.nested_grammar import ITEM, NestedGrammar
from oxillama.chat.formats.tagged.tags import Header, spaces
from oxillama.chat.reply.markers import Markers
from oxillama.chat.reply.source import Scanner
from oxillama.chat.values.kinds import ARRAY, OBJECT, STRING, Parameters
from oxillama.chat.values.quoting import quoted, well_formed
from oxillama.chat.values.tagged import tagged_value
from oxillama.chat.values.writer import ArgumentsWriter
from oxillama.text.prompt_text import PromptText, prompt_text

if TYPE_CHECKING:
    from oxillama.chat.conversation import ToolCall
    from oxillama.chat.reply.calls import Calls
    from oxillama.chat.reply.source import Source, Steps
    from oxillama.chat.reply.turn import CallReader
    from oxillama.chat.tools import Tool

_DEPTH = 32
_STRINGS = frozenset((STRING,))
_LONGEST_TAG = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested(NestedLayout):
    """Shape XT."""

    def write(self, calls: Sequence[ToolCall]) -> PromptText:
        pieces: list[str | PromptText] = [f"{self.mark}<{self.section}>\n"]
        for call in calls:
            pieces += [f'{self.mark}<{self.call} name="', PromptText.of_content(call.name), '">']
            for key, value in members_of(call.arguments):
                pieces += self._element(key, decoded(value))
            pieces.append(f"{self.mark}</{self.call}>\n")
        return prompt_text(*pieces, f"{self.mark}</{self.section}>") if calls else PromptText("")

    def _element(self, key: str, value: Any) -> list[str | PromptText]:
        name = PromptText.of_content(key)
        return [f"{self.mark}<", name, ">", *self._inside(value), f"{self.mark}</", name, ">"]

    def _inside(self, value: Any) -> list[str | PromptText]:
        if isinstance(value, dict):
            return [piece for key, item in value.items() for piece in self._element(key, item)]
        if isinstance(value, list):
            return [piece for item in value for piece in self._element(ITEM, item)]
        if isinstance(value, str):
            return [value if isinstance(value, Number) else PromptText.of_content(well_formed(value))]
        return ["null" if value is None else str(value).lower()]

    def reader(self, markers: Markers) -> CallReader:
        return NestedReader(self, markers)

    def grammar(self, tools: Sequence[Tool], lark: Lark, *, parallel: bool = True) -> str:
        return NestedGrammar(self, lark).text(tools, parallel=parallel)

    def unenforced(self, tool: Tool) -> Sequence[tuple[str, str]]:
        grammar = NestedGrammar(self, Lark(Markers((), None)))
        grammar.call(tool)
        return grammar.rules.unenforced


class NestedReader:
    """Reads the calls of one `NestedLayout` (see `CallReader`)."""

    bare = ""
    at_line = ()

    def __init__(self, shape: NestedLayout, markers: Markers) -> None:
        self.gap = shape.gap
        self._mark = mark = markers.encode(shape.mark)
        self._section = f"{mark}<{shape.section}>"
        self._header = Header(f'{mark}<{shape.call} name="{{name}}">', lambda text: (text,))
        self._invoke = self._header.prefixes[0]
        self.openers = (self._section, self._invoke)
        self._ends = (f"{mark}</{shape.call}>", f"{mark}</{shape.section}>")
        self.closers = self._ends
        self._tags = Scanner([f"{mark}<"])
        self._visible = markers.visible

    def read(self, source: Source, calls: Calls, opener: str) -> Steps[bool]:
        tag: str | None = opener
        found = False
        while True:
            if tag == self._invoke:
                if not (yield from self._call(source, calls)):
                    return False
                found = True
                source.mark()
            elif tag is None:
                return found
            space = yield from spaces(source)
            tag = yield from source.literal(self._section, self._invoke, *(self._ends if found else ()))
            if found:
                source.unread(space + (tag or ""))
                source.mark()
                yield from spaces(source)
                yield from source.literal(*(tag,) if tag else ())

    def _call(self, source: Source, calls: Calls) -> Steps[bool]:
        fields, _ = yield from self._header.read(source)
        if fields is None or not calls.offers(name := fields["name"]):
            return False
        calls.begin(name)
        source.mark()
        writer = ArgumentsWriter()
        parameters = Parameters(calls.tools[name].parameters)
        while True:
            space = yield from spaces(source)
            end = yield from source.literal(*self._ends)
            key = "" if end else (yield from self._open(source))
            if not key:
                break
            yield from self._argument(source, calls, writer, parameters, key)
            source.mark()
        cut = not end and source.truncated and not (yield from source.peek())
        if not end:
            source.unread(space)
        if not cut:
            calls.arguments(writer.end())
        calls.end(not cut)
        return True

    def _open(self, source: Source) -> Steps[str]:
        """Read an opening tag and return its name; "": there is none."""
        if (yield from source.literal(f"{self._mark}<")) is None:
            return ""
        name = yield from self._name(source)
        if not name or name.startswith("/") or name.startswith("invoke "):
            source.unread(f"{self._mark}<{name}>" if name else f"{self._mark}<")
            return ""
        return name

    def _name(self, source: Source) -> Steps[str]:
        """Read a tag's name and its bracket; "": there is none, and nothing is read."""
        name = ""
        while len(name) < _LONGEST_TAG:
            char = yield from source.next()
            if char == ">" and name:
                return name
            if not char or char in "<>\n" or "\ud800" <= char <= "\udfff":
                source.unread(name + char)
                return ""
            name += char
        source.unread(name)
        return ""

    def _argument(
        self, source: Source, calls: Calls, writer: ArgumentsWriter, parameters: Parameters, key: str
    ) -> Steps[None]:
        schema = parameters.schema(key)
        if parameters.kinds(key) == _STRINGS:
            calls.arguments(writer.string(key))
            yield from self._text(source, lambda text: calls.arguments(writer.text(self._visible(text))))
            if (yield from source.peek()) or not source.truncated:
                calls.arguments(writer.done())
            return
        value = yield from self._value(source, parameters, schema, 0)
        if (yield from source.peek()) or not source.truncated:
            calls.arguments(writer.value(key, value))

    def _text(self, source: Source, emit: Callable[[str], object]) -> Steps[None]:
        """Read the text of an element and its closing tag. Tags inside are text."""
        while (yield from source.until(self._tags, emit)) is not None:
            name = yield from self._name(source)
            if name.startswith("/"):
                self._leave(source, name)
                return
            emit(f"{self._mark}<{name}>" if name else f"{self._mark}<")

    def _leave(self, source: Source, name: str) -> None:
        """A closing tag has been read. That of the call, where the element's own is missing, closes the call too."""
        tag = f"{self._mark}<{name}>"
        if tag in self._ends:
            source.unread(tag)

    def _value(self, source: Source, parameters: Parameters, schema: Any, depth: int) -> Steps[str]:
        """Read the inside of an element and its closing tag, as JSON."""
        kinds = parameters.kinds_of(schema)
        if kinds == _STRINGS or depth >= _DEPTH:
            held: list[str] = []
            yield from self._text(source, held.append)
            return quoted(self._visible("".join(held)))
        members: list[tuple[str, str]] = []
        texts: list[str] = []
        while (yield from source.until(self._tags, texts.append)) is not None:
            name = yield from self._name(source)
            if not name:
                texts.append(f"{self._mark}<")
                continue
            if name.startswith("/"):
                self._leave(source, name)
                break
            listed = name == ITEM and (kinds is None or ARRAY in kinds)
            inner = parameters.items_of(schema) if listed else parameters.property_of(schema, name)
            members.append((name, (yield from self._value(source, parameters, inner, depth + 1))))
        text = self._visible("".join(texts))
        if members:
            if all(name == ITEM for name, _ in members) and (kinds is None or ARRAY in kinds or OBJECT not in kinds):
                return "[" + ", ".join(value for _, value in members) + "]"
            return "{" + ", ".join(f"{quoted(name)}: {value}" for name, value in members) + "}"
        if not text.strip() and kinds is not None and STRING not in kinds:
            if ARRAY in kinds:
                return "[]"
            if OBJECT in kinds:
                return "{}"
        return tagged_value(text, kinds)
