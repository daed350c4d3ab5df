"""Drills in copying: what is learnt can be known from the text before it, and every ordinary token comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oxillama.embedded.data.conversations import stream
from oxillama.embedded.learning import vocabulary
from oxillama.embedded.learning.copying import sources
from oxillama.embedded.learning.drills import drill, drillable


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    texts = [m["content"] for messages, _ in stream(1, 9, 100) for m in messages]
    return vocabulary.learn(texts, 500)


def test_what_a_drill_teaches_goes_on_as_an_earlier_place_did() -> None:
    tokens = np.arange(5, 100_005)  # so many that hardly a token comes twice in a text
    learnt = 0
    for step in range(20):
        ids, flags = drill(tokens, 1, step, 512)
        assert ids.shape == (len(flags), flags.shape[1] + 1)
        assert ids.size <= 512
        for row, flag in zip(ids, flags, strict=True):
            assert (sources(row, flag)[flag] > 0).all()
        learnt += int(flags.sum())
    assert learnt > 0.25 * 20 * 512


def test_a_drill_is_the_same_for_the_same_seed_and_step() -> None:
    tokens = np.arange(5, 500)
    first = drill(tokens, 1, 7, 512)

    assert all((a == b).all() for a, b in zip(first, drill(tokens, 1, 7, 512), strict=True))
    for other in (drill(tokens, 1, 8, 512), drill(tokens, 2, 7, 512)):
        assert first[0].shape != other[0].shape or (first[0] != other[0]).any()


def test_every_token_but_special_ones_is_drilled(tokenizer: Any) -> None:
    tokens = drillable(tokenizer)
    special = {tokenizer.token_to_id(text) for text in (*vocabulary.CONTROL, *vocabulary.SHOWN)}

    assert set(tokens.tolist()) == set(tokenizer.get_vocab().values()) - special
    drilled = {i for step in range(40) for i in drill(tokens, 1, step, 512)[0].ravel().tolist()}
    assert drilled == set(tokens.tolist())
