"""What a parser of calls reports to: it numbers the calls, gives them ids, and knows which tools were offered."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from oxillama.chat.reply.events import Arguments, CallBegan, CallEnded, Event

if TYPE_CHECKING:
    from oxillama.chat.tools import Tool

_ALPHABET = string.ascii_letters + string.digits

MakeId = Callable[[int, str], str]
"""The id of the reply's call with this index, from 0, and this name."""


def made_id(index: int = 0, name: str = "") -> str:
    """The form that most families get, since their calls have no ids."""
    return "call_" + "".join(secrets.choice(_ALPHABET) for _ in range(24))


def short_id(index: int = 0, name: str = "") -> str:
    """Nine letters and digits, as Mistral's models write them."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(9))


class Calls:
    """The calls of one reply.

    tools: those that may be called. muted: calls are read, but not reported. count: how many calls have ended.
    """

    __slots__ = ("_events", "_make_id", "count", "muted", "tools")

    def __init__(
        self, events: list[Event], tools: Iterable[Tool], make_id: MakeId = made_id, *, muted: bool = False
    ) -> None:
        self._events = events if not muted else []
        self.muted = muted
        self._make_id = make_id
        self.tools = {tool.name: tool for tool in tools}
        self.count = 0

    def offers(self, name: str) -> bool:
        """Whether the tool was offered. A call of another one is content."""
        return name in self.tools

    def spelled(self, name: str) -> str:
        """The name of the tool that the model means: some write `functions.NAME` or `NAME.call` for `NAME`."""
        short = name.removeprefix("functions.").removesuffix(".call")
        return short if name not in self.tools and short in self.tools else name

    def begin(self, name: str, call_id: str | None = None) -> None:
        """Begin a call of an offered tool. call_id: the id that the model wrote, if its format has ids."""
        self._events.append(CallBegan(self.count, call_id or self._make_id(self.count, name), name))

    def arguments(self, text: str) -> None:
        """Add to the arguments of the call that began last."""
        if text:
            self._events.append(Arguments(self.count, text))

    def end(self, complete: bool = True) -> None:
        """End the call. complete: its arguments are the text of a JSON object."""
        if complete:
            self._events.append(CallEnded(self.count))
        self.count += 1
