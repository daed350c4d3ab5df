"""What a reply consists of. A parser turns the tokens of a generation into these events, one token at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True)
class Reasoning:
    """More of the text that the model thought."""

    text: str


@dataclass(slots=True)
class Content:
    """More of the answer's text. tokens: which of the reply's tokens it came from, if the reader noted them."""

    text: str
    tokens: tuple[int, ...] = ()


@dataclass(slots=True)
class CallBegan:
    """A tool call. `index` counts the reply's calls from 0. Its arguments follow."""

    index: int
    id: str
    name: str


@dataclass(slots=True)
class Arguments:
    """More of a call's arguments. All texts of a call joined are its final `arguments`."""

    index: int
    text: str


@dataclass(slots=True)
class CallEnded:
    """The call is complete: its arguments are the text of a JSON object. A call that was cut off has no such event."""

    index: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The last part of a reply. Parsers do not give it, the reader does.

    called: the reply has at least one call. reasoning_tokens: how many tokens were read as reasoning, tags included.
    """

    called: bool
    reasoning_tokens: int


Event = Reasoning | Content | CallBegan | Arguments | CallEnded


class Parser(Protocol):
    """Reads the tokens of one reply.

    Joined texts do not depend on how tokens cut the bytes. What was returned is never taken back. Everything that the
    model wrote is in some event, except markers. No output is an error.
    """

    @property
    def thinking(self) -> bool:
        """Whether what comes next is reasoning, as far as is known."""
        ...

    def push(self, token_id: int, piece: bytes) -> list[Event]:
        """Add a token. piece: the bytes that it adds to a text, as `Tokenizer.token_bytes` gives them."""
        ...

    def end(self, truncated: bool = False) -> list[Event]:
        """End the reply: the text held back until now. truncated: a limit cut it off, not the model."""
        ...
