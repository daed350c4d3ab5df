"""Calls as JSON objects with a name and arguments: shapes J, JA, A1 and T."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oxillama.chat.formats.json.arguments import CallBuilder, read_arguments
from oxillama.chat.formats.json.writing import arguments_text
from oxillama.chat.reply.json_text import SPACE, JsonText
from oxillama.text.prompt_text import PromptText, prompt_text

if TYPE_CHECKING:
    from oxillama.chat.conversation import ToolCall
    from oxillama.chat.formats.shape import Lark
    from oxillama.chat.reply.calls import Calls
    from oxillama.chat.reply.markers import Markers
    from oxillama.chat.reply.source import Source, Steps
    from oxillama.chat.tools import Tool

NAMES = ("name", "tool_name")
ARGUMENTS = ("arguments", "parameters", "args", "input")
IDS = ("id", "tool_call_id", "call_id")
WRAPPERS = ("function", "tool_call")
OTHERS = ("type", "index")
FENCES = ("```json", "```tool_code", "```tool_call", "```")


@dataclass(frozen=True)
class JsonCalls:
    """Calls as JSON objects.

    first, last: what stands around each call. before, after: what stands around all of them. between: what stands
    between two calls. opener, closer: the markers in these texts that begin and end calls. openers: other markers that
    models begin with. name_key, arguments_key: the keys. id_key: the key of the id, if there is one; id_last: it comes
    after the arguments, not first. named_key: the name is itself the key of the arguments. bare: a reply may begin with
    the JSON without a marker. fenced: a block of code may hold the calls. one: a reply has one call at most. gap: how
    many newlines stand between text and calls. none: the names by which the model says that it calls nothing. special:
    the special tokens in the markers, if these consist of more than one token.
    """

    name: str
    opener: str = ""
    closer: str = ""
    before: str = ""
    after: str = ""
    first: str = ""
    last: str = ""
    between: str = ""
    openers: tuple[str, ...] = ()
    name_key: str = "name"
    arguments_key: str = "arguments"
    id_key: str | None = None
    id_last: bool = False
    named_key: bool = False
    bare: str = ""
    fenced: bool = False
    one: bool = False
    gap: int = 0
    none: tuple[str, ...] = ()
    special: tuple[str, ...] = ()

    def texts(self) -> Sequence[str]:
        return self.special or (self.opener, self.closer, *self.openers)

    def write(self, calls: Sequence[ToolCall]) -> PromptText:
        parts: list[str | PromptText] = [self.before]
        for number, call in enumerate(calls):
            parts += [self.between if number else "", self.first, *self._object(call), self.last]
        return prompt_text(*parts, self.after)

    def _object(self, call: ToolCall) -> list[str | PromptText]:
        name = PromptText.of_content(json.dumps(call.name, ensure_ascii=False))
        arguments = PromptText.of_content(arguments_text(call))
        if self.named_key:
            return ["{", name, ": ", arguments, "}"]
        pairs: list[tuple[str, PromptText]] = [(self.name_key, name), (self.arguments_key, arguments)]
        if self.id_key is not None:
            call_id = PromptText.of_content(json.dumps(call.id, ensure_ascii=False))
            pairs.insert(2 if self.id_last else 0, (self.id_key, call_id))
        parts: list[str | PromptText] = ["{"]
        for number, (key, value) in enumerate(pairs):
            parts += [", " if number else "", f'"{key}": ', value]
        return [*parts, "}"]

    def reader(self, markers: Markers) -> JsonReader:
        return JsonReader(self, markers)

    def grammar(self, tools: Sequence[Tool], lark: Lark, *, parallel: bool = True) -> str:
        several = parallel and not self.one
        rules = [
            f"calls: {_join(lark.text(self.before))}call_any"
            f"{f' ({_join(lark.text(self.between))}call_any)*' if several else ''} {lark.text(self.after)}".rstrip(),
            f"call_any: {_join(lark.text(self.first))}({' | '.join(f'call_{n}' for n in range(len(tools)))})"
            f" {lark.text(self.last)}".rstrip(),
        ]
        for number, tool in enumerate(tools):
            start, end = self._around_arguments(tool, lark)
            rules += [f"call_{number}: {start} call_{number}_arguments {end}"]
            rules += [f"call_{number}_arguments: {lark.arguments(tool)}"]
        return "\n".join(rules)

    def unenforced(self, tool: Tool) -> Sequence[tuple[str, str]]:
        return ()  # all arguments are JSON

    def _around_arguments(self, tool: Tool, lark: Lark) -> tuple[str, str]:
        name = json.dumps(tool.name, ensure_ascii=False)
        if self.named_key:
            return lark.text(f"{{{name}: "), lark.text("}")
        start, end = f'"{self.name_key}": {name}, "{self.arguments_key}": ', "}"
        if self.id_key is None:
            return lark.text("{" + start), lark.text(end)
        key = f'"{self.id_key}": "'
        if self.id_last:
            return lark.text("{" + start), f"{lark.text(f', {key}')} /[a-zA-Z0-9]{{9}}/ {lark.text(chr(34) + end)}"
        return f"{lark.text('{' + key)} /[0-9]{{1,3}}/ {lark.text(f'{chr(34)}, {start}')}", lark.text(end)


def _join(expression: str) -> str:
    return f"{expression} " if expression else ""


class JsonReader:
    """Reads the calls of one `JsonCalls` (see `CallReader`)."""

    def __init__(self, shape: JsonCalls, markers: Markers) -> None:
        self._shape = shape
        self._visible = markers.visible
        self._names = {*NAMES, shape.name_key}
        self._arguments = {*ARGUMENTS, shape.arguments_key} - {shape.name_key}
        self._ids = {*IDS, shape.id_key}
        self._known = {*self._names, *self._arguments, *self._ids, *WRAPPERS, *OTHERS}
        spelled = [text for text in (shape.opener, *shape.openers) if text]
        self.openers = tuple(dict.fromkeys(map(markers.encode, spelled)))
        self._fences = tuple(fence + "\n" for fence in FENCES[:-1]) if shape.fenced else ()
        self.at_line = (*(text for text in dict.fromkeys(spelled) if text not in self.openers), *self._fences)
        self.bare = shape.bare
        self.gap = shape.gap
        self.closers = tuple({markers.encode(shape.closer), shape.closer} - {""})
        self._stops = "".join(text for text in self.closers if text in markers.ids)
        self._ends = (*self.closers, "```")

    def read(self, source: Source, calls: Calls, opener: str) -> Steps[bool]:
        found = False
        listed = False
        while True:
            char = yield from source.skip(SPACE)
            if char and char in ",;" and found:
                yield from source.next()
                char = yield from source.skip(SPACE)
                if char not in ("{", "]"):
                    return False
            if char == "{":
                if not (yield from self._call(source, calls, opener)):
                    return False
                found = True
                source.mark()
            elif char == "[" and not listed and not found:
                yield from source.next()
                listed = True
            elif char == "]" and listed and found:
                yield from source.next()
                listed = False
            elif char in ("}", "]") and found:  # one too many, if the closer follows
                brackets = yield from source.gather("}]" + SPACE)
                if (yield from source.literal(*self._ends)) is None:
                    source.unread(brackets)
                else:
                    yield from self._end(source)
                return True
            elif not found and (yield from source.literal(*self.openers)) is not None:
                continue  # a doubled one
            elif (yield from source.literal(*self._ends)) is not None:
                if found:
                    yield from self._end(source)
                    return True
                yield from source.literal("json", "tool_code", "tool_call")
            else:
                return found

    def _end(self, source: Source) -> Steps[None]:
        """Read what closes calls besides the closer."""
        source.mark()
        space = yield from source.gather(SPACE)
        if (yield from source.literal(*self._ends)) is None:
            source.unread(space)

    def _call(self, source: Source, calls: Calls, opener: str) -> Steps[bool]:
        """Read the object of a call. Returns whether there was one, be it mended, and nothing else after it."""
        bare = not opener or opener in self.bare
        build = CallBuilder(calls, late=self._shape.id_last)
        whole = yield from self._object(source, calls, build, bare=bare)
        if build.name in self._shape.none:
            return whole
        cut = source.ended and source.truncated and not build.complete
        # A name alone may belong to an answer that is JSON, except behind a marker of calls.
        meant = cut and not bare and opener not in self._fences
        if build.name is None or build.refused or not (whole or build.usable or meant):
            return False
        build.finish(complete=not cut)
        if cut:
            source.mark()
        return whole or not source.since_mark().strip()

    def _object(self, source: Source, calls: Calls, build: CallBuilder, *, bare: bool) -> Steps[bool]:
        """Read keys and values. Returns whether the object is complete."""
        depth = 0
        while True:
            char = yield from source.skip(SPACE)
            if char == "{" and not depth:
                yield from source.next()
                depth = 1
                continue
            if char == "{" and build.complete:
                return True  # the next call: this one's bracket is missing
            if char in ("}", ","):
                yield from source.next()
                depth -= char == "}"
                if not depth:
                    return True
                continue
            key = yield from self._value(source)
            if not isinstance(key, str) or (bare and not self._shape.named_key and key not in self._known):
                return False
            if (yield from source.skip(SPACE)) != ":":
                return False
            yield from source.next()
            char = yield from source.skip(SPACE)
            if self._shape.named_key:
                build.name = calls.spelled(key)
                if build.refused:
                    return False
                key = self._shape.arguments_key
            if key in WRAPPERS and char == "{":
                yield from source.next()
                depth += 1
            elif key in self._arguments and not build.has_arguments:
                build.complete = yield from read_arguments(source, build, self._visible, self._stops)
                if build.usable:
                    source.mark()  # what follows is none of the arguments
                if not build.complete:
                    return False
            else:
                value = yield from self._value(source)
                if value is None and not (yield from source.peek()):
                    return False
                if key in self._names or (key in WRAPPERS and build.name is None):
                    if not isinstance(value, str):
                        return False
                    build.name = build.name or calls.spelled(value)
                    if value in self._shape.none:
                        build.drop()
                    elif build.refused:
                        return False
                    build.named()
                elif key in self._ids and isinstance(value, str | int) and value != "":
                    build.call_id = str(value)

    def _value(self, source: Source) -> Steps[Any]:
        """A whole value; None if there is none, or a null."""
        parts: list[str] = []
        if not (yield from JsonText(source, parts.append, self._visible, self._stops).read()):
            return None
        try:
            return json.loads("".join(parts))
        except (ValueError, RecursionError):
            return None
