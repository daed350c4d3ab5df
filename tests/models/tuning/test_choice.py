"""Measured rates make a choice only if they are clear, and one to be remembered only if the rounds agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oxillama.models.tuning.choice import Verdict, judge

NAMES = ["a", "b", "c"]


def rounds(*rows: list[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(rows, np.float64)


def test_a_clearly_faster_way_wins() -> None:
    assert judge(rounds([10, 12, 11], [10, 12, 11]), NAMES, "a") == Verdict("b", steady=True)


def test_a_way_that_is_little_faster_does_not_win() -> None:
    assert judge(rounds([10, 10.2, 9], [10, 10.2, 9]), NAMES, "a") == Verdict("a", steady=True)


@pytest.mark.parametrize("lucky", [0, 3])
def test_one_lucky_half_of_the_rounds_is_not_enough(lucky: int) -> None:
    rates = rounds([10, 10, 10], [10, 10, 10], [10, 10, 10], [10, 10, 10])
    rates[lucky, 1] = 11.5

    assert judge(rates, NAMES, "a") == Verdict("a", steady=True)


def test_slow_rounds_of_a_busy_machine_do_not_hide_the_faster_way() -> None:
    rates = rounds([10, 4, 9], [10, 12, 9], [10, 12, 9], [10, 12, 9])

    assert judge(rates, NAMES, "a") == Verdict("b", steady=True)


@pytest.mark.parametrize("disturbed", [0, 1])
def test_rounds_that_disagree_make_no_steady_verdict(disturbed: int) -> None:
    rates = np.tile([10.0, 12.0, 9.0], (6, 1))
    rates[1:5, disturbed] *= 0.6  # the best rate of each half is undisturbed

    assert judge(rates, NAMES, "a") == Verdict("a", steady=False)


def test_disturbed_rounds_of_a_way_that_is_not_chosen_do_not_matter() -> None:
    rates = rounds([10, 12, 9], [10, 12, 4], [10, 12, 4], [10, 12, 4])

    assert judge(rates, NAMES, "a").steady
