"""A layout's tags as a reader looks for them: without white space, and with special tokens as private characters."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxillama.chat.reply.source import Scanner

if TYPE_CHECKING:
    from oxillama.chat.formats.tagged.layout import TaggedLayout
    from oxillama.chat.reply.source import Source, Steps

_LONGEST_HEADER = 512
_ATTRIBUTE = re.compile(r"([\w:-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'/>][^\s\"'>]*))")
_FIELD = re.compile(r"([\w:-]+)=\"\{(\w+)\}\"")
_SPACE = re.compile(r"\s++")

Spell = Callable[[str], tuple[str, ...]]
"""The forms in which a tag is found."""


class Header:
    """An opening tag with fields: `<function=NAME>`, `<invoke name="NAME">`, or a text up to the next tag."""

    def __init__(self, text: str, spell: Spell) -> None:
        first, last = text.index("{"), text.rindex("}")
        head = text[:first]
        self._attributes: dict[str, str] = dict(_FIELD.findall(text))
        if self._attributes:
            head = head[: head.rindex(" ") + 1]
            last = text.rindex('"')
        self._field = text[first + 1 : text.index("}")]
        self.prefixes = spell(head)
        self.suffixes = spell(text[last + 1 :].strip()) if text[last + 1 :].strip() else ()

    def read(self, source: Source) -> Steps[tuple[dict[str, str] | None, str]]:
        """Read what is behind the prefix. Returns the fields and what was read.

        There is an empty field "/" if the tag closes itself. The fields are None if it is no such tag.
        """
        raw = ""
        quote = ""
        while len(raw) < _LONGEST_HEADER:
            if not quote:
                suffix = yield from source.literal(*self.suffixes)
                if suffix is not None:
                    return self._fields(raw), raw + suffix
                char = yield from source.peek()
                if not self.suffixes and (char in ("\n", "<") or _is_private(char) or _ends(source, char)):
                    return self._fields(raw), raw
            char = yield from source.next()
            raw += char
            if not char or char == "\n" or _is_private(char):
                return None, raw
            if self._attributes and char in "\"'":
                quote = "" if quote == char else quote or char
        return None, raw

    def _fields(self, raw: str) -> dict[str, str] | None:
        if not self._attributes:
            bare = raw.strip()
            if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
                bare = bare[1:-1]
            return {self._field: bare} if bare else None
        if _ATTRIBUTE.sub("", raw).strip(" \t/"):
            return None
        fields = {
            self._attributes[found[1]]: found[2] or found[3] or found[4] or ""
            for found in _ATTRIBUTE.finditer(raw)
            if found[1] in self._attributes
        }
        if raw.rstrip().endswith("/"):
            fields["/"] = ""
        return fields if self._field in fields else None


@dataclass(frozen=True, slots=True)
class TagSet:
    """All tags of a layout.

    into: tags that lead to a call. out_of: tags behind a call. in_call: what may stand where a parameter may begin.
    values: finds what may end a value.
    """

    call: Header
    parameter: Header
    key_end: tuple[tuple[str, ...], ...]
    section_close: tuple[str, ...]
    wrap_close: tuple[str, ...]
    call_close: tuple[str, ...]
    parameter_close: tuple[str, ...]
    into: tuple[str, ...]
    out_of: tuple[str, ...]
    in_call: tuple[str, ...]
    values: Scanner
    bodies: Scanner

    @classmethod
    def of(cls, shape: TaggedLayout, spell: Spell) -> TagSet:
        def tag(text: str) -> tuple[str, ...]:
            return spell(text.strip()) if text.strip() else ()

        call, parameter = Header(shape.call.open, spell), Header(shape.parameter.open, spell)
        section_close, wrap_close, call_close = map(tag, (shape.section.close, shape.wrap.close, shape.call.close))
        section_open, wrap_open, parameter_close = map(
            tag, (shape.section.open, shape.wrap.open, shape.parameter.close)
        )
        into = (*section_open, *wrap_open, *call.prefixes)
        outside = (*call_close, *wrap_close, *section_close)
        return cls(
            call=call,
            parameter=parameter,
            key_end=tuple(spell(piece) for piece in shape.key_end.split()),
            section_close=section_close,
            wrap_close=wrap_close,
            call_close=call_close,
            parameter_close=parameter_close,
            into=into,
            out_of=(*outside, *parameter_close),
            in_call=(*parameter.prefixes, *parameter_close, *outside, *into),
            values=Scanner([*parameter_close, *outside], lead=int(shape.own_line)),
            bodies=Scanner(outside),
        )

    def behind(self, closing: str) -> tuple[str, ...]:
        """The tags of which one follows a closing tag that ends a whole call."""
        if closing in self.call_close:
            return (*self.wrap_close, *self.section_close, *self.into)
        return (*self.section_close, *self.into) if closing in self.wrap_close else ()


def spaces(source: Source) -> Steps[str]:
    """Read white space."""
    text = ""
    while True:
        text += source.run(_SPACE)
        char = yield from source.peek()
        if not char.isspace():
            return text


def _ends(source: Source, char: str) -> bool:
    """Whether the model ended the reply here."""
    return not char and not source.truncated


def _is_private(char: str) -> bool:
    return "\ud800" <= char <= "\udfff"
