"""Where the texts of calls as literals stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oxillama.chat.formats.wire import Tags


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonicLayout:
    """Calls with keyword arguments.

    calls: the texts around all calls. between: between calls. opener, closer: the markers in `calls`. openers, closers:
    others that models write around them. bare: a reply may begin with a call's list without a marker. gap: how many
    newlines before the calls are not part of the content.
    """

    name: str = "P"
    calls: Tags
    between: str = ", "
    opener: str = ""
    closer: str = ""
    openers: tuple[str, ...] = ()
    closers: tuple[str, ...] = ()
    bare: str = ""
    gap: int = 1
    one = False

    def texts(self) -> Sequence[str]:
        return [text for text in (self.opener, self.closer, *self.openers, *self.closers) if text]


@dataclass(frozen=True, slots=True, kw_only=True)
class GemmaLayout:
    """Calls as words with bare keys. call: the markers around each call. quote: what stands around strings."""

    name: str = "G"
    call: Tags
    quote: str
    gap: int = 1
    one = False

    def texts(self) -> Sequence[str]:
        return (self.call.open, self.call.close, self.quote)
