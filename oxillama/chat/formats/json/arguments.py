"""The arguments of one call, which are JSON, on their way from the reply to the events."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from oxillama.chat.reply.json_text import SPACE, JsonText, unescaped
from oxillama.chat.reply.source import Source

if TYPE_CHECKING:
    from oxillama.chat.reply.calls import Calls
    from oxillama.chat.reply.source import Steps

_HALF = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}")
"""The first half of a pair of escapes that are one character."""


class CallBuilder:
    """One call. It begins as soon as its name and the first character of its arguments are known.

    late: it begins only when `finish` is called, because its id comes last. complete: its arguments are. refused: the
    name is that of no tool.
    """

    def __init__(self, calls: Calls, *, late: bool = False) -> None:
        self._calls = calls
        self._late = late
        self._held: list[str] = []
        self._dropped = False
        self.name: str | None = None
        self.call_id: str | None = None
        self.begun = False
        self.complete = False
        self.has_arguments = False

    @property
    def refused(self) -> bool:
        return self.name is not None and not self._calls.offers(self.name)

    def drop(self) -> None:
        """Let the call be none, whatever follows."""
        self._dropped = True

    def arguments(self, text: str) -> None:
        """Add to the arguments: text that can still become a JSON object."""
        self.has_arguments = True
        if self._dropped:
            return
        if self._late or self.name is None:
            self._held.append(text)
            return
        self._begin()
        self._calls.arguments(text)

    def named(self) -> None:
        """The name has become known."""
        if self._held and not self._late and not self._dropped:
            self._begin()

    @property
    def usable(self) -> bool:
        """Whether there is a call, although it is not complete."""
        return self.has_arguments and self.name is not None and self._calls.offers(self.name)

    def finish(self, complete: bool = True) -> None:
        """The call is over. complete: so are its arguments."""
        self._begin()
        if not self.has_arguments and complete:
            self._calls.arguments("{}")
        self._calls.end(complete)

    def _begin(self) -> None:
        if not self.begun:
            assert self.name is not None
            self.begun = True
            self._calls.begin(self.name, self.call_id)
            self._calls.arguments("".join(self._held))
            self._held.clear()


def read_arguments(source: Source, build: CallBuilder, visible: Callable[[str], str], stops: str) -> Steps[bool]:
    """Read the arguments: an object, a string that contains one, or null.

    Returns whether they are complete, mended if need be. If not, the call is none, or has begun and cannot go on.
    """
    char = yield from source.skip(SPACE)
    if char in ("{", ""):
        return (yield from _object(source, JsonText(source, build.arguments, visible, stops), build))
    if char in "\"'":
        return (yield from _quoted(source, build, visible, stops))
    held: list[str] = []
    complete = yield from JsonText(source, held.append, visible, stops).read()
    return complete and held == ["null"]


def _object(source: Source, text: JsonText, build: CallBuilder) -> Steps[bool]:
    if (yield from text.read()):
        return True
    if not (source.ended and source.truncated):
        text.mend()
    return False


class _Unquoted:
    """The object in a string's text, read as the string comes."""

    def __init__(self, build: CallBuilder, visible: Callable[[str], str]) -> None:
        self._source = Source()
        self.text = JsonText(self._source, build.arguments, visible)
        self.complete = False
        self._half = ""
        self._steps = self._read()
        next(self._steps)

    def _read(self) -> Steps[None]:
        char = yield from self._source.skip(SPACE)
        if char == "{":
            self.complete = yield from self.text.read()
        else:
            self.complete = not char

    def add(self, fragment: str) -> None:
        """Add a part of a JSON string, which cuts no escape."""
        if fragment == '"':
            return  # around the string: within it, quotes are escaped
        fragment = self._half + fragment
        self._half = fragment if _HALF.fullmatch(fragment) else ""
        if not self._half:
            self._source.feed(unescaped(fragment))
            next(self._steps, None)

    def end(self) -> None:
        self._source.feed(unescaped(self._half))
        self._source.ended = True
        next(self._steps, None)


def _quoted(source: Source, build: CallBuilder, visible: Callable[[str], str], stops: str) -> Steps[bool]:
    inner = _Unquoted(build, visible)
    whole = yield from JsonText(source, inner.add, visible, stops).read()
    inner.end()
    if inner.complete:
        return whole or inner.text.began
    if not (source.ended and source.truncated):
        inner.text.mend()
    return False
