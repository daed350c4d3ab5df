"""Reading tokens as they are chosen, before the next one is: how a caller makes more of them than text.

The engine calls a reader in its compute thread, between two steps of all requests. So `push` and `end` must be quick
and must not block. An exception of theirs ends that request alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader makes of one token.

    parts: for the event of this token (`TokenEvent.parts`). stop: the generation ends with this token.
    forced: tokens that come next, whatever the model would choose. They are evaluated together in one step, and the
    reader is given each of them. Tokens that are forced while others are still due come after those.
    """

    parts: tuple[object, ...] = ()
    stop: bool = False
    forced: tuple[int, ...] = ()


class Reader(Protocol):
    """Reads the tokens of one generation in order."""

    def push(self, token_id: int) -> Reading:
        """Read one more token. The token that ends a generation, such as the end of a turn, is not pushed."""

    def end(self, truncated: bool) -> tuple[object, ...]:
        """The parts that were held back. Called once, after the last token, also if the reader ended the generation.

        truncated: it ended at its limit of tokens.
        """
