"""Log-probabilities are numpy's log-softmax in float64, with a defined order."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oxillama.errors import GenerationError, InvalidParameterError
from tests.sample.reference import choose


def log_softmax_top(x: np.ndarray, token: int, n_top: int) -> tuple[float, list[tuple[int, float]]]:
    _, logprob, top = choose(x, token=token, n_top=n_top)
    assert logprob is not None
    return logprob, top


def test_it_equals_numpy() -> None:
    x = (np.random.default_rng(0).standard_normal(32_000) * 4).astype(np.float32)
    exact = x.astype(np.float64) - np.log(np.sum(np.exp(x.astype(np.float64) - x.max()))) - x.max()
    logprob, top = log_softmax_top(x, 123, 20)
    order = np.lexsort((np.arange(len(x)), -x))[:20]
    assert logprob == pytest.approx(exact[123], abs=1e-12)
    assert [i for i, _ in top] == order.tolist()
    assert [p for _, p in top] == pytest.approx(exact[order].tolist(), abs=1e-12)


def test_ties_go_to_the_lower_id_and_nan_is_last() -> None:
    x = np.array([np.nan, 1.0, 2.0, 2.0], np.float32)
    _, top = log_softmax_top(x, 1, 4)
    assert [i for i, _ in top] == [2, 3, 1, 0]
    assert top[-1][1] == -math.inf


def test_an_infinite_logit_takes_all_the_probability() -> None:
    x = np.array([np.inf, 1.0], np.float32)
    assert log_softmax_top(x, 0, 1) == (0.0, [(0, 0.0)])
    assert log_softmax_top(x, 1, 0)[0] == -math.inf


def test_more_alternatives_than_tokens_return_all_tokens() -> None:
    assert len(log_softmax_top(np.zeros(3, np.float32), 0, 20)[1]) == 3


def test_a_row_of_nan_is_an_error() -> None:
    with pytest.raises(GenerationError):
        log_softmax_top(np.full(4, np.nan, np.float32), 0, 1)


@pytest.mark.parametrize("token", [-1, 4])
def test_a_token_out_of_range_is_refused(token: int) -> None:
    with pytest.raises(InvalidParameterError):
        log_softmax_top(np.zeros(4, np.float32), token, 1)
