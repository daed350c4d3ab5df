"""The core's sampler for a request, and a token's log-probability as events show it."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING

from oxillama.core._core import Sampler
from oxillama.engine.api.types import TokenLogprob
from oxillama.engine.decoding.breakers import Breakers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oxillama.engine.api.sampling import SamplerSettings
    from oxillama.engine.api.types import GenerationRequest
    from oxillama.engine.decoding.vocabulary import Vocabulary

LEAST_LOGPROB = -9999.0
"""Reported for a probability of zero, because minus infinity is not valid JSON."""


class RequestSampler:
    """A request's sampler in the core, and what must be said about each token that it has chosen."""

    def __init__(self, settings: SamplerSettings, request: GenerationRequest, vocabulary: Vocabulary) -> None:
        """It has seen the part of the prompt that its penalties look at. Raises MemoryError."""
        seed = request.sampling.seed
        self.core = core_sampler(
            settings,
            vocabulary.n_vocab,
            logit_bias=vocabulary.token_biases(request.sampling.logit_bias),
            seed=seed if seed is not None else secrets.randbits(64),
        )
        self._breakers = (
            Breakers(settings.dry_sequence_breakers, vocabulary) if settings.dry_multiplier else None
        )
        for token in seen_by(settings, request.prompt_ids):
            self.accept(token)

    def accept(self, token: int) -> None:
        """Note a token of the prompt or of the completion."""
        self.core.accept(token, self._breakers is not None and self._breakers.completed_by(token))


def seen_by(settings: SamplerSettings, prompt: tuple[int, ...]) -> tuple[int, ...]:
    """The end of a prompt that penalties and DRY look at."""
    windows = []
    if settings.repeat_penalty != 1 or settings.frequency_penalty or settings.presence_penalty:
        windows.append(settings.repeat_last_n)
    if settings.dry_multiplier:
        windows.append(settings.dry_penalty_last_n)
    if any(window < 0 for window in windows):
        return prompt
    longest = max(windows, default=0)
    return prompt[-longest:] if longest else ()


def core_sampler(settings: SamplerSettings, n_vocab: int, *, logit_bias: dict[int, float], seed: int) -> Sampler:
    """A sampler with these settings that has seen no token."""
    values = asdict(settings)
    del values["dry_sequence_breakers"]
    return Sampler(n_vocab, **values, logit_bias=logit_bias, seed=seed)


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
