"""Reads calls in tags.

A value ends at its closing tag only if another tag or the end of the reply follows. So text that contains the closing
tag is read back whole. Tags that are missing or doubled are tolerated: see `_ends`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from oxillama.chat.formats.tagged.tags import TagSet, spaces
from oxillama.chat.reply.source import Scanner
from oxillama.chat.values.kinds import STRING, Kinds, Parameters
from oxillama.chat.values.tagged import json_of, tagged_value, whole_json
from oxillama.chat.values.writer import ArgumentsWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oxillama.chat.formats.tagged.layout import TaggedLayout
    from oxillama.chat.reply.calls import Calls
    from oxillama.chat.reply.markers import Markers
    from oxillama.chat.reply.source import Source, Steps

CDATA, CDATA_END = "<![CDATA[", "]]>"
_STRING = frozenset((STRING,))
_CDATA = Scanner([CDATA_END])


class TaggedReader:
    """Reads the calls of one layout; see `CallReader`."""

    def __init__(self, shape: TaggedLayout, markers: Markers) -> None:
        self._own_line = shape.own_line
        self._gap = shape.gap
        self._character_data = shape.character_data
        self._visible = markers.visible
        self._tags = TagSet.of(shape, lambda text: (markers.encode(text),))
        # After an opener that is spelled out, other tags may be spelled out as well.
        self._spelled = TagSet.of(shape, lambda text: tuple(dict.fromkeys((markers.encode(text), text))))

    @property
    def openers(self) -> Sequence[str]:
        return self._tags.into

    @property
    def at_line(self) -> Sequence[str]:
        return [text for text in self._spelled.into if text not in self._tags.into]

    @property
    def bare(self) -> str:
        return ""

    @property
    def closers(self) -> Sequence[str]:
        return self._tags.out_of

    @property
    def gap(self) -> int:
        return self._gap

    def read(self, source: Source, calls: Calls, opener: str) -> Steps[bool]:
        tag: str | None = opener
        tags = self._tags if tag in self._tags.into else self._spelled
        while tag is not None:
            if tag not in tags.call.prefixes:
                yield from spaces(source)
            elif not (yield from self._call(source, calls, tags)):
                return False
            elif not (yield from self._between(source, tags)):
                return True
            tag = yield from source.literal(*tags.into)
        return False

    def _between(self, source: Source, tags: TagSet) -> Steps[bool]:
        """Read what may stand behind a call, up to another one. Returns whether there may be one."""
        source.mark()
        while True:
            space = yield from spaces(source)
            if (yield from source.literal(*tags.out_of)) is not None:
                source.mark()
            elif (tag := (yield from source.literal(*tags.into))) is not None:
                source.unread(space + tag)
                source.mark()
                yield from spaces(source)
                return True
            else:
                source.mark()
                return False

    def _call(self, source: Source, calls: Calls, tags: TagSet) -> Steps[bool]:
        """Read a call from its name on. Returns whether it is one."""
        fields, _ = yield from tags.call.read(source)
        if fields is None or not calls.offers(name := fields["name"]):
            return False
        writer = ArgumentsWriter()
        if "/" in fields:
            calls.begin(name)
            self._end(calls, writer)
            return True
        yield from spaces(source)
        char = yield from source.peek()
        if char == "{":
            return (yield from self._body(source, calls, tags, name))
        tag = yield from source.literal(*tags.in_call)
        if tag is None and char:
            return False
        source.unread(tag or "")
        calls.begin(name)
        source.mark()
        parameters = Parameters(calls.tools[name].parameters)
        while (tag := (yield from source.literal(*tags.in_call))) is not None:
            if tag in tags.parameter.prefixes:
                fields, raw = yield from self._key(source, tags)
                if fields is None:
                    source.unread(tag + raw)
                    break
                yield from self._value(source, calls, tags, writer, parameters, fields)
            elif tag not in tags.parameter_close:
                source.unread(tag if tag not in tags.call_close else "")
                break
            source.mark()
            yield from spaces(source)
        cut = tag is None and source.truncated and not (yield from source.peek())
        self._end(calls, writer, complete=not cut)
        return True

    def _end(self, calls: Calls, writer: ArgumentsWriter, complete: bool = True) -> None:
        """End the call. A reply that was cut off before the call's end leaves its arguments as they are."""
        if complete:
            calls.arguments(writer.end())
        calls.end(complete)

    def _body(self, source: Source, calls: Calls, tags: TagSet, name: str) -> Steps[bool]:
        """Read arguments that are written as a JSON object in place of parameters."""
        held: list[str] = []
        marker = yield from source.until(tags.bodies, held.append)
        text = self._visible("".join(held)).strip()
        body = whole_json(text)
        cut = body is None and marker is None and source.truncated
        if not cut and (body is None or not body.startswith("{")):
            return False
        calls.begin(name)
        calls.arguments(text if body is None else body)
        calls.end(not cut)
        return True

    def _key(self, source: Source, tags: TagSet) -> Steps[tuple[dict[str, str] | None, str]]:
        """Read what stands between a parameter's tag and its value. Returns the fields, if there are any, and it."""
        fields, raw = yield from tags.parameter.read(source)
        for options in tags.key_end:
            space = yield from spaces(source)
            tag = yield from source.literal(*options)
            raw += space + (tag or "")
            if tag is None:
                return None, raw
        return fields, raw

    def _value(
        self,
        source: Source,
        calls: Calls,
        tags: TagSet,
        writer: ArgumentsWriter,
        parameters: Parameters,
        fields: dict[str, str],
    ) -> Steps[None]:
        """Read a value and its closing tag."""
        key = fields["key"]
        kinds, convert = _reading(fields, parameters.kinds(key))
        if self._own_line:
            yield from source.literal("\n")
        if kinds == _STRING:
            calls.arguments(writer.string(key))
            yield from self._text(source, tags, lambda text: calls.arguments(writer.text(self._visible(text))))
            if (yield from source.peek()) or not source.truncated:
                calls.arguments(writer.done())
            return
        held: list[str] = []
        yield from self._text(source, tags, held.append)
        text = self._visible("".join(held))
        cut = not (yield from source.peek()) and source.truncated
        calls.arguments(writer.value(key, text if cut else convert(text)))

    def _text(self, source: Source, tags: TagSet, emit: Callable[[str], object]) -> Steps[None]:
        """Give the text of a value to `emit`, and read its closing tag."""
        while self._character_data and (yield from source.literal(CDATA)) is not None:
            yield from source.until(_CDATA, emit)
        while (marker := (yield from source.until(tags.values, emit))) is not None:
            no_end = yield from self._ends(source, tags, marker)
            if no_end is None:
                return
            emit(no_end)

    def _ends(self, source: Source, tags: TagSet, marker: str) -> Steps[str | None]:
        """Whether a closing tag ends the value, by what follows.

        If it does, the source stands before what follows then. If not, returns the tag, which is text of the value.

        Behind a parameter's closing tag, perhaps doubled, any tag may follow. Other closing tags end a value whose own
        is missing, if the whole call or the reply ends there; they are what follows then.
        """
        closing = marker.strip("\n")
        own = closing in tags.parameter_close
        read = [marker]
        while True:
            space = yield from spaces(source)
            tag = yield from source.literal(*(tags.in_call if own else tags.behind(closing)))
            if tag is None and (yield from source.peek()):
                source.unread(space)
                return "".join(read)
            if tag is None or tag not in tags.parameter_close:
                source.unread((tag or "") if own else marker + space + (tag or ""))
                return None
            read += space, tag


def _reading(fields: dict[str, str], kinds: Kinds | None) -> tuple[Kinds | None, Callable[[str], str]]:
    """How a value is read: by what its tag says, else by the schema."""
    stated = fields.get("string", fields.get("type"))
    if stated in ("true", "string"):
        return _STRING, json_of
    if stated:
        return None, json_of
    return kinds, lambda text: tagged_value(text, kinds)
