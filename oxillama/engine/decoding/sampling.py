"""The core's sampler for a request, and a token's log-probability as events show it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from oxillama.core._core import Sampler
from oxillama.engine.api.types import TokenLogprob

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oxillama.engine.api.sampling import SamplerSettings
    from oxillama.engine.api.types import GenerationRequest
    from oxillama.engine.decoding.vocabulary import Vocabulary

LEAST_LOGPROB = -9999.0
"""Reported for a probability of zero, because minus infinity is not valid JSON."""


def new_sampler(settings: SamplerSettings, request: GenerationRequest, n_vocab: int) -> Sampler:
    """A sampler that has been given the part of the prompt that its penalties look at. Raises MemoryError."""
    seed = request.sampling.seed
    sampler = core_sampler(
        settings,
        n_vocab,
        logit_bias=dict(request.sampling.logit_bias),
        seed=seed if seed is not None else secrets.randbits(64),
    )
    n_seen = settings.repeat_last_n
    if n_seen and (settings.repeat_penalty != 1 or settings.frequency_penalty or settings.presence_penalty):
        for token in request.prompt_ids if n_seen < 0 else request.prompt_ids[-n_seen:]:
            sampler.accept(token)
    return sampler


def core_sampler(settings: SamplerSettings, n_vocab: int, *, logit_bias: dict[int, float], seed: int) -> Sampler:
    """A sampler with these settings that has seen no token."""
    return Sampler(
        n_vocab,
        temperature=settings.temperature,
        top_k=settings.top_k,
        top_p=settings.top_p,
        min_p=settings.min_p,
        repeat_penalty=settings.repeat_penalty,
        repeat_last_n=settings.repeat_last_n,
        frequency_penalty=settings.frequency_penalty,
        presence_penalty=settings.presence_penalty,
        logit_bias=logit_bias,
        seed=seed,
    )


def token_logprob(
    vocabulary: Vocabulary, token: int, logprob: float, top: Sequence[tuple[int, float]]
) -> TokenLogprob:
    """A token's log-probability with those of the likeliest tokens."""
    piece = vocabulary.token_bytes
    return TokenLogprob(
        token,
        piece(token),
        max(logprob, LEAST_LOGPROB),
        tuple((i, piece(i), max(p, LEAST_LOGPROB)) for i, p in top),
    )
