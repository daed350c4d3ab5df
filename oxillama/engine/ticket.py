"""A request as the scheduler sees it: numbers of tokens and pages, without the tokens."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from oxillama.engine.api.types import Priority

if TYPE_CHECKING:
    import numpy.typing as npt

YIELDS = 2
"""How often a background ticket gives way to younger interactive ones."""


class TicketState(enum.Enum):
    WAITING = enum.auto()
    ACTIVE = enum.auto()
    ENDED = enum.auto()


@dataclass(eq=False, slots=True)
class Ticket:
    """One request as the scheduler sees it.

    n_prompt: tokens of its prompt, at least one. n_limit: the most tokens it may ever hold, completion included.
    max_slice: its most tokens in one step. stops: positions in ascending order where a slice must end. The other
    fields are the scheduler's: n_known tokens exist, n_computed of them are in the cache, in `pages` pages; n_reached:
    the most that ever were, before it was paused. shared: the numbers of its first pages, if others may hold them too.
    It waits until `source` has computed `until` tokens; until is 0 if it does not wait. arrival and turn: its place in
    the order of arrival, and of admission.
    """

    n_prompt: int
    n_limit: int
    priority: Priority = Priority.INTERACTIVE
    max_slice: int = 2**31 - 1
    state: TicketState = TicketState.WAITING
    n_known: int = field(init=False)
    n_computed: int = 0
    n_reached: int = 0
    pages: int = 0
    shared: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    stops: tuple[int, ...] = ()
    source: Ticket | None = None
    until: int = 0
    arrival: int = -1
    turn: int = -1
    passed_over: int = 0
    paused: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.n_prompt <= self.n_limit:
            raise ValueError(f"a ticket of {self.n_prompt} prompt tokens and at most {self.n_limit} in all")
        self.n_known = self.n_prompt

    @property
    def pending(self) -> int:
        """Tokens that exist and are not in the cache."""
        return self.n_known - self.n_computed

    @property
    def waits(self) -> bool:
        """Whether it takes no part in steps, because another ticket computes what it begins with."""
        return self.source is not None and self.source.n_computed < self.until

    @property
    def decoding(self) -> bool:
        return self.n_computed >= self.n_prompt and self.pending == 1

    @property
    def rank(self) -> tuple[bool, int]:
        """Smaller is better."""
        return self.priority is Priority.BACKGROUND and self.paused < YIELDS, self.arrival


@dataclass(frozen=True, slots=True)
class Slice:
    """Tokens [start, start + count) of a ticket, all in one step. `completes`: the last is its last known one."""

    ticket: Ticket
    start: int
    count: int
    completes: bool
