"""Log-probabilities as they go over the wire."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oxillama.engine.api.types import TokenEvent, TokenLogprob

UNLIKELY = -9999.0
"""The wire's word for a probability of nothing, which JSON has no number for."""


def finite(logprob: float) -> float:
    """`logprob`, or UNLIKELY."""
    return logprob if math.isfinite(logprob) else UNLIKELY


def text_logprobs(event: TokenEvent, eog_ids: frozenset[int]) -> tuple[TokenLogprob, ...]:
    """The log-probabilities of the tokens that make up the text: the token that ended it is none of them."""
    if event.finish_reason == "stop" and event.token_id in eog_ids and event.logprobs:
        return event.logprobs[:-1] if event.logprobs[-1].token_id == event.token_id else event.logprobs
    return event.logprobs
