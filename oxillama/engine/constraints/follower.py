"""One generation's way through a grammar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oxillama.errors import GenerationError

if TYPE_CHECKING:
    import numpy.typing as npt
    from llguidance import LLMatcher


class GrammarFollower:
    """A matcher with the mask for its next token. See `engine.api.constraint.Follower`."""

    def __init__(self, matcher: LLMatcher, mask: npt.NDArray[np.uint32], forced: tuple[int, ...]) -> None:
        """matcher: this generation's own. mask, forced: for the first token, as for every generation."""
        self._matcher = matcher
        self._mask = mask
        self._forced: tuple[int, ...] | None = forced
        self._filled, self._owns_mask = True, False

    @property
    def mask(self) -> npt.NDArray[np.uint32]:
        return self._mask

    def fill(self) -> None:
        if not self._filled:
            fill_mask(self._matcher, self._mask)
            self._filled = True

    def check(self) -> None:
        if self._matcher.is_error():
            raise GenerationError(failure(self._matcher))

    def refuses(self, token_id: int) -> bool:
        return False

    def accept(self, token_id: int) -> None:
        known = self._matcher.consume_token(token_id)
        self._filled, self._forced = False, None
        if not self._owns_mask:
            self._mask, self._owns_mask = np.empty_like(self._mask), True
        if not known:
            raise GenerationError(failure(self._matcher))

    def forced(self) -> tuple[int, ...]:
        if self._forced is None:
            self._forced = forced_tokens(self._matcher)
        return self._forced

    @property
    def ended(self) -> bool:
        return self._matcher.is_stopped()


def fill_mask(matcher: LLMatcher, mask: npt.NDArray[np.uint32]) -> None:
    """Write the mask for the matcher's next token; only the end is allowed if the matcher has failed."""
    matcher.unsafe_compute_mask_ptr(mask.ctypes.data, mask.nbytes)


def forced_tokens(matcher: LLMatcher) -> tuple[int, ...]:
    """The tokens that must come next, as long as the text that the grammar forces has one way to be cut into tokens."""
    found = matcher.compute_ff_tokens()
    return tuple(found) if found and matcher.validate_tokens(found) == len(found) else ()


def failure(matcher: LLMatcher) -> str:
    """Why a matcher has failed, in one line."""
    reason = " ".join((matcher.get_error() or "a token does not fit it").split())
    return f"the generation could not follow its grammar: {reason[:200]}"
