"""Quantisers lose at most 1.02 times what llama.cpp's lose on the same weights."""

from __future__ import annotations

import pytest

from oxillama.core._core import Quantizer
from tests.quant.recorded import RECORDED
from tests.quant.reference import VARIABLE, library_path, theirs
from tests.quant.rows import KINDS, NUMBERS, TYPES, decoded, error, importance, ours, rows

ALLOWED = 1.02


def test_every_quantiser_has_a_recorded_figure() -> None:
    assert set(RECORDED) == set(TYPES)


@pytest.mark.parametrize("name", TYPES)
def test_errors_are_at_most_those_recorded_of_the_reference(name: str) -> None:
    plain, weighted = RECORDED[name]

    for kind, want in zip(KINDS, plain, strict=True):
        assert ours(name, rows(kind)) <= ALLOWED * want, kind
    for kind, want in zip(KINDS, weighted, strict=True):
        assert ours(name, rows(kind), importance()) <= ALLOWED * want, f"{kind}, with importance"


@pytest.mark.parametrize("name", TYPES)
def test_errors_are_at_most_those_of_the_reference_itself(name: str) -> None:
    path = library_path()
    if path is None:
        pytest.skip(f"needs {VARIABLE}, the path of llama.cpp's libggml-base")

    for kind in KINDS:
        x = rows(kind, 4)
        assert ours(name, x) <= ALLOWED * theirs(path, name, x), kind
        assert ours(name, x, importance()) <= ALLOWED * theirs(path, name, x, importance()), f"{kind}, with importance"


@pytest.mark.parametrize("name", [t for t in TYPES if t != "Q8_0"])
def test_importance_moves_the_error_to_columns_that_matter_less(name: str) -> None:
    x, weight = rows("gaussian", 4), importance()

    quantizer = Quantizer(NUMBERS[name])
    with_importance = error(x, decoded(name, quantizer.rows(x, weight), x.shape), weight)
    without = error(x, decoded(name, quantizer.rows(x), x.shape), weight)

    assert with_importance < without
