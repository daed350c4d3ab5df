"""Quantisers on weights that are not random, and what they refuse."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from oxillama.core import _core
from oxillama.errors import InvalidParameterError, ModelUnsupportedError
from tests.quant.rows import NUMBERS, TYPES, decoded, rows


def round_trip(name: str, x: np.ndarray) -> np.ndarray:
    return decoded(name, _core.quantize(NUMBERS[name], x.ravel()), x.shape)


# NVFP4's own scales end at 448, codebook formats at steps that depend on the neighbours.
@pytest.mark.parametrize("name", [t for t in TYPES if t != "NVFP4" and not t.startswith(("IQ1", "IQ2", "IQ3"))])
@pytest.mark.parametrize(
    ("value", "within"),
    [(0.0, 0), (1.0, 0.02), (-1.0, 0.02), (-65000.0, 0.02), (1e-30, 0), (6e-5, 0.07)],  # the last: subnormal scales
)
def test_constant_weights_survive(name: str, value: float, within: float) -> None:
    x = np.full(512, value, np.float32)

    np.testing.assert_allclose(round_trip(name, x), x, rtol=within, atol=1e-6)


@pytest.mark.parametrize("name", TYPES)
def test_zeros_stay_zeros(name: str) -> None:
    x = np.zeros(512, np.float32)

    np.testing.assert_array_equal(np.abs(round_trip(name, x)), x)


@pytest.mark.parametrize("name", TYPES)
def test_quantising_a_quantised_tensor_again_loses_little(name: str) -> None:
    x = round_trip(name, rows("gaussian", 4))

    assert np.sqrt(np.mean((round_trip(name, x) - x) ** 2)) < 0.4 * np.sqrt(np.mean((rows("gaussian", 4) - x) ** 2))


@pytest.mark.parametrize("name", [t for t in TYPES if t != "Q1_0"])  # which has no zero
def test_a_lone_weight_among_zeros_survives(name: str) -> None:
    x = np.zeros(512, np.float32)
    x[[37, 300]] = 0.5, -0.25

    back = round_trip(name, x)

    assert np.all(np.abs(back[[37, 300]] / x[[37, 300]] - 1) < 0.55)


def test_weights_of_minus_d_zero_and_d_are_kept_by_ternary_formats() -> None:
    x = np.random.default_rng(1).integers(-1, 2, 1024).astype(np.float32) * 0.75

    for name in ("TQ1_0", "TQ2_0"):
        np.testing.assert_array_equal(round_trip(name, x), x)


def test_q8_0_equals_the_reference() -> None:
    x = np.random.default_rng(1).standard_normal((64, 512)).astype(np.float32)
    x[3] = 0

    want = gguf.quants.quantize(x, gguf.GGMLQuantizationType.Q8_0)
    np.testing.assert_array_equal(_core.quantize(NUMBERS["Q8_0"], x.ravel()), want.ravel())


@pytest.mark.parametrize("name", TYPES)
def test_rows_are_quantised_independently(name: str) -> None:
    x = rows("student", 6)
    quantizer = _core.Quantizer(NUMBERS[name])

    one_by_one = [quantizer.rows(x[i : i + 1]) for i in range(6)]

    np.testing.assert_array_equal(quantizer.rows(x), np.concatenate(one_by_one))


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("weight", [np.zeros(1024), np.eye(1, 1024, 17)[0], np.full(1024, 1e-30), np.full(1024, 1e30)])
def test_any_importance_gives_a_sound_file(name: str, weight: np.ndarray) -> None:
    x = rows("gaussian", 2)

    back = decoded(name, _core.Quantizer(NUMBERS[name]).rows(x, weight.astype(np.float32)), x.shape)

    assert np.sqrt(np.mean((back - x) ** 2)) < 0.03


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 65505.0, -3e38])
@pytest.mark.parametrize("name", TYPES)
def test_weights_a_format_cannot_hold_are_refused(name: str, bad: float) -> None:
    x = np.ones(1024, np.float32)
    x[700] = bad

    with pytest.raises(InvalidParameterError, match=f"columns 512 to 767 of row 0 is .*: {name} cannot hold it"):
        _core.quantize(NUMBERS[name], x)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_invalid_importance_is_refused(bad: float) -> None:
    weight = np.ones(1024, np.float32)
    weight[3] = bad

    with pytest.raises(InvalidParameterError, match="column from 0 to 255 is negative or not finite"):
        _core.Quantizer(NUMBERS["Q4_K"]).rows(rows("gaussian", 1), weight)


def test_importance_of_another_length_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="512 values of importance for 1024 columns"):
        _core.Quantizer(NUMBERS["Q4_K"]).rows(rows("gaussian", 1), np.ones(512, np.float32))


def test_a_type_without_quantiser_is_named() -> None:
    with pytest.raises(ModelUnsupportedError, match="quantising to weights of type Q8_1"):
        _core.Quantizer(NUMBERS["Q8_1"])


def test_columns_must_fill_blocks() -> None:
    with pytest.raises(InvalidParameterError, match="300"):
        _core.Quantizer(NUMBERS["Q4_K"]).rows(np.zeros((1, 300), np.float32))
