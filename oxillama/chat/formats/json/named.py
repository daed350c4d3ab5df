"""Calls as a name and, after it, the JSON object of the arguments: shape NJ."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxillama.chat.formats.json.arguments import CallBuilder, read_arguments
from oxillama.chat.formats.json.objects import JsonCalls
from oxillama.chat.formats.json.writing import arguments_text
from oxillama.chat.reply.json_text import SPACE
from oxillama.text.prompt_text import PromptText, prompt_text

if TYPE_CHECKING:
    from oxillama.chat.conversation import ToolCall
    from oxillama.chat.formats.shape import Lark
    from oxillama.chat.reply.calls import Calls
    from oxillama.chat.reply.markers import Markers
    from oxillama.chat.reply.source import Source, Steps
    from oxillama.chat.tools import Tool

NAME, ID, ARGUMENTS = "{name}", "{id}", "{arguments}"
_MOST_HEAD = 300
_FIELD = r"[^\s{}<>\ud800-\udfff]+?"
_NAMED_ID = re.compile(r"(?:functions\.)?(?P<name>.+?)(?::(?P<number>[0-9]+))?")


@dataclass(frozen=True)
class NamedJson:
    """Calls as a name and an object.

    call: the pieces of one call in their order: texts, and the fields NAME, ID and ARGUMENTS. The first piece is the
    marker that begins a call. Without NAME, the id contains the name, as in `functions.NAME:3`. before, after: what
    stands around all calls. between: what stands between two. gap: how many newlines stand between text and calls.
    markers: the texts in these that may be special tokens. listed: models may also write a list of objects there.
    """

    call: tuple[str, ...]
    before: str = ""
    after: str = ""
    between: str = ""
    gap: int = 0
    markers: tuple[str, ...] = ()
    id_pattern: str = "[a-zA-Z0-9]{9}"
    listed: bool = False
    name: str = "NJ"
    one = False

    def texts(self) -> Sequence[str]:
        return self.markers

    def write(self, calls: Sequence[ToolCall]) -> PromptText:
        parts: list[str | PromptText] = [self.before]
        for number, call in enumerate(calls):
            call_id = call.id if NAME in self.call or call.id.startswith(f"functions.{call.name}:") else None
            numbered = f"functions.{call.name}:{number}"
            fields = {NAME: call.name, ID: call_id or numbered, ARGUMENTS: arguments_text(call)}
            if number:
                parts.append(self.between)
            parts += [PromptText.of_content(fields[piece]) if piece in fields else piece for piece in self.call]
        return prompt_text(*parts, self.after)

    def reader(self, markers: Markers) -> NamedReader:
        return NamedReader(self, markers)

    def grammar(self, tools: Sequence[Tool], lark: Lark, *, parallel: bool = True) -> str:
        def text(*pieces: str) -> str:
            return lark.text("".join(pieces))

        several = f" ({text(self.between)} call_any)*".replace("( ", "(") if parallel else ""
        rules = [
            f"calls: {text(self.before)} call_any{several} {text(self.after)}".replace(":  ", ": ").rstrip(),
            f"call_any: {' | '.join(f'call_{number}' for number in range(len(tools)))}",
        ]
        for number, tool in enumerate(tools):
            pieces = []
            for piece in self.call:
                if piece == NAME:
                    pieces.append(text(tool.name))
                elif piece == ARGUMENTS:
                    pieces.append(f"call_{number}_arguments")
                elif piece == ID and NAME in self.call:
                    pieces.append(f"/{self.id_pattern}/")
                elif piece == ID:
                    pieces.append(f"{text(f'functions.{tool.name}:')} /[0-9]{{1,3}}/")
                else:
                    pieces.append(text(piece))
            rules += [f"call_{number}: {' '.join(pieces)}", f"call_{number}_arguments: {lark.arguments(tool)}"]
        return "\n".join(rules)

    def unenforced(self, tool: Tool) -> Sequence[tuple[str, str]]:
        return ()  # all arguments are JSON


class NamedReader:
    """Reads the calls of one `NamedJson` (see `CallReader`)."""

    bare = ""

    def __init__(self, shape: NamedJson, markers: Markers) -> None:
        encode = markers.encode
        self._visible = markers.visible
        self.gap = shape.gap
        begin = shape.call[0].strip()
        spelled = tuple(dict.fromkeys(text for text in (shape.before.strip(), begin) if text))
        self.openers = tuple(map(encode, spelled))
        self.at_line = tuple(text for text in spelled if text not in self.openers)
        self._begin = tuple({encode(begin), begin})
        at = shape.call.index(ARGUMENTS)
        head, tail = shape.call[1:at], shape.call[at + 1 :]
        self._head = re.compile(self._pattern(head, encode), re.DOTALL)
        self._separated = tuple(encode(piece.strip()) for piece in head[-1:] if piece.strip() and piece[0] != "{")
        ends = [piece.strip() for piece in (*tail, shape.after) if piece.strip()]
        self.closers = tuple(dict.fromkeys(text for end in ends for text in (encode(end), end)))
        self._stops = "".join(text for text in self.closers if text in markers.ids)
        self._ends = tuple(text for text in self.closers if not any(text in piece for piece in head))
        self._list = JsonCalls("JA", id_key="id", id_last=True).reader(markers) if shape.listed else None
        self._has_name = NAME in shape.call

    def _pattern(self, pieces: Sequence[str], encode: Callable[[str], str]) -> str:
        """The regular expression of what stands between the opener and the arguments. All texts may be missing."""
        parts: list[str] = []
        text = ""
        for piece in pieces:
            if piece == NAME:
                parts.append(f"(?:{text})?(?P<name>{_FIELD})")
            elif piece == ID and NAME in pieces:
                parts.append(f"(?:{text}(?P<id>{_FIELD}))?")
            elif piece == ID:
                parts.append(f"(?:{text})?(?P<id>{_FIELD})")
            else:
                spelled = piece.strip()
                either = "|".join(dict.fromkeys((re.escape(encode(spelled)), re.escape(spelled))))
                text = rf"{text}(?:{either})\s*" if spelled else text
                continue
            text = ""
        return r"\s*".join(["", *parts, f"(?:{text})?"])

    def read(self, source: Source, calls: Calls, opener: str) -> Steps[bool]:
        begun = opener in self._begin
        while True:
            yield from source.skip(SPACE)
            if (yield from source.literal(*self._begin, *self.openers)) is None:
                break
            begun = True  # by its own marker, or by one that is doubled
        if not begun:
            return False
        char = yield from source.skip(SPACE)
        if char == "[" and self._list is not None:
            return (yield from self._list.read(source, calls, opener))
        head, closed = yield from self._read_head(source)
        match = self._head.fullmatch(head)
        if match is None:
            return False
        build = CallBuilder(calls)
        fields = match.groupdict()
        build.name, build.call_id = self._named(calls, fields)
        if build.name is None or build.refused:
            return False
        if not closed and (yield from source.peek()) == "{":
            build.complete = yield from read_arguments(source, build, self._visible, self._stops)
            if not build.complete and not build.usable:
                return False
        elif closed or any(text in head for text in self._separated):
            build.complete = closed or not source.truncated
        else:
            return False
        cut = source.ended and source.truncated and not build.complete
        build.finish(complete=not cut)
        source.mark()
        yield from self._end(source)
        return True

    def _read_head(self, source: Source) -> Steps[tuple[str, bool]]:
        """What stands before the arguments, and whether the call ends without any."""
        head = ""
        while len(head) < _MOST_HEAD:
            char = yield from source.peek()
            if not char or char == "{":
                break
            head += yield from source.next()
            for closer in self._ends:
                if head.endswith(closer):
                    return head.removesuffix(closer), True
        return head, False

    def _named(self, calls: Calls, fields: dict[str, str | None]) -> tuple[str | None, str | None]:
        """The name and the id that the model wrote."""
        if self._has_name:
            return calls.spelled(fields["name"] or ""), fields.get("id")
        written = fields["id"] or ""
        match = _NAMED_ID.fullmatch(written)
        name = match["name"] if match is not None else ""
        if name.isdigit() and len(calls.tools) == 1:  # a number alone can only be the one tool
            name = next(iter(calls.tools))
        full = match is not None and written.startswith("functions.") and match["number"] is not None
        return name or None, written if full else None

    def _end(self, source: Source) -> Steps[None]:
        """Read what closes the call. Each text may be missing."""
        while True:
            source.mark()
            space = yield from source.gather(SPACE)
            if not self.closers or (yield from source.literal(*self.closers)) is None:
                source.unread(space)
                return
