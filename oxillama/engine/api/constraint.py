"""What tokens a generation may consist of: a grammar compiled for a model, and its progress in one generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from oxillama.errors import InvalidParameterError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


DISTINCT = "<|distinct|>"
"""Within a grammar, before a JSON array or object: its items, or the names of its members, differ from each other."""


class Follower(Protocol):
    """A grammar's progress in one generation. One thread at a time."""

    @property
    def mask(self) -> npt.NDArray[np.uint32]:
        """[(n_vocab + 31) // 32] or longer: bit i % 32 of word i // 32 says whether token i may come next, once it is
        filled, and unless it is refused."""

    def fill(self) -> None:
        """Fill the mask for the next token, unless it is filled. Releases the GIL.

        A grammar that fails here allows only the end; see `check`.
        """

    def check(self) -> None:
        """Raises GenerationError if the grammar has failed, such as by exceeding its limits."""

    def refuses(self, token_id: int) -> bool:
        """Whether a token that the filled mask allows may not come after all. Then the mask no longer allows it."""

    def accept(self, token_id: int) -> None:
        """Go on by a token, which does not end the generation. Raises GenerationError if it may not come next."""

    def forced(self) -> tuple[int, ...]:
        """The tokens that the grammar forces to come next."""

    @property
    def ended(self) -> bool:
        """Whether nothing but the end may come."""


class Constraint(Protocol):
    """A grammar compiled for one model's vocabulary. Generations of that model may share it."""

    @property
    def n_vocab(self) -> int: ...
    def follow(self) -> Follower:
        """Begin a generation."""


class GrammarError(InvalidParameterError):
    """A grammar that cannot be used.

    regex: what is wrong with a regular expression in it; None if something else is. at: how many characters of that
    expression, as it stands in the grammar, are before the fault; None: unknown.
    """

    def __init__(self, reason: str, *, regex: str | None = None, at: int | None = None) -> None:
        super().__init__(f"the grammar cannot be used: {reason}", code="invalid_grammar")
        self.regex = regex
        self.at = at
