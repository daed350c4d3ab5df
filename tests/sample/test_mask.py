"""A mask of allowed tokens: the others are never drawn, and nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oxillama.core._core import Choice, Chooser, Sampler
from oxillama.errors import GenerationError, InvalidParameterError
from tests.sample.reference import OFF
from tests.sample.rows import KINDS, row

N_VOCAB = 5003
CHAINS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "top-k": {"top_k": 40, "top_p": 0.9},
    "nucleus": {"top_p": 0.8},
    "min-p": {"min_p": 0.05},
    "all": {},
    "penalties": {"top_k": 20, "repeat_penalty": 1.3, "presence_penalty": 0.4, "logit_bias": {7: 3.0, 300: -2.0}},
}


def packed(allowed: np.ndarray) -> np.ndarray:
    """Bits of whole words, of a mask [n_vocab] of booleans."""
    padded = np.zeros(-(-len(allowed) // 32) * 32, np.bool_)
    padded[: len(allowed)] = allowed
    return np.packbits(padded, bitorder="little").view(np.uint32)


def masks() -> dict[str, np.ndarray]:
    tokens = np.arange(N_VOCAB)
    return {
        "all": tokens >= 0,
        "one": tokens == 4999,
        "few": tokens % 611 == 3,
        "half": tokens % 2 == 0,
        "most": tokens % 97 != 0,
        "tail": tokens >= 4992,
    }


def drawn(x: np.ndarray, chain: dict[str, Any], **choice: Any) -> tuple[int, float | None, list[tuple[int, float]]]:
    sampler = Sampler(N_VOCAB, seed=5, **{**OFF, **chain})
    for token in (3, 7, 7, 2444):
        sampler.accept(token)
    made = Choice(sampler, n_top=3, **choice)
    Chooser(N_VOCAB).choose(None, x[None], [made])
    return made.result()


@pytest.mark.parametrize("mask", masks())
@pytest.mark.parametrize("chain", CHAINS)
def test_a_mask_counts_as_logits_of_minus_infinity(chain: str, mask: str) -> None:
    allowed = masks()[mask]
    for at, kind in enumerate(KINDS):
        x = row(kind, N_VOCAB, at)
        without = np.where(allowed, x, np.float32(-np.inf))
        if not np.any(without > -np.inf):
            continue
        token, logprob, top = drawn(x, CHAINS[chain], allowed=packed(allowed), banned=(9,))
        assert token == drawn(without, CHAINS[chain], banned=(9,))[0]
        assert allowed[token]
        # Log-probabilities are the model's own, whatever the mask.
        free = Choice(token=token, n_top=3)
        Chooser(N_VOCAB).choose(None, x[None], [free])
        assert (token, logprob, top) == free.result()


def test_a_mask_may_be_filled_until_the_choice_is_made() -> None:
    words = np.zeros(-(-N_VOCAB // 32), np.uint32)
    made = Choice(Sampler(N_VOCAB, seed=5, **OFF), allowed=words)
    words[100] = 1 << 5
    Chooser(N_VOCAB).choose(None, row("flat", N_VOCAB, 1)[None], [made])
    assert made.result()[0] == 3205


def test_a_mask_without_a_token_is_an_error_of_its_choice() -> None:
    made = Choice(Sampler(N_VOCAB, seed=5, **OFF), allowed=np.zeros(-(-N_VOCAB // 32), np.uint32))
    Chooser(N_VOCAB).choose(None, row("flat", N_VOCAB, 1)[None], [made])
    with pytest.raises(GenerationError, match="no token is left"):
        made.result()


def test_a_mask_that_is_too_short_is_refused() -> None:
    made = Choice(Sampler(N_VOCAB, seed=5, **OFF), allowed=np.zeros(N_VOCAB // 32, np.uint32))
    with pytest.raises(InvalidParameterError, match="a mask of 156 words for a vocabulary of 5003"):
        Chooser(N_VOCAB).choose(None, row("flat", N_VOCAB, 1)[None], [made])
