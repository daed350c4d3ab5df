"""Log-probabilities as they go over the wire."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oxillama.engine.api.types import TokenEvent, TokenLogprob

UNLIKELY = -9999.0
"""Stands for minus infinity, which JSON cannot write. OpenAI's API uses the same number."""


def finite(logprob: float) -> float:
    """`logprob`, or UNLIKELY."""
    return logprob if math.isfinite(logprob) else UNLIKELY


def text_logprobs(event: TokenEvent, eog_ids: frozenset[int]) -> tuple[TokenLogprob, ...]:
    """The log-probabilities of the event's text, without that of the token that ended the generation."""
    if event.finish_reason == "stop" and event.token_id in eog_ids and event.logprobs:
        return event.logprobs[:-1] if event.logprobs[-1].token_id == event.token_id else event.logprobs
    return event.logprobs
