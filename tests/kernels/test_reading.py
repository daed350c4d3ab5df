"""However packed weights are read, products are the same to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from oxillama.core import _core
from oxillama.errors import InvalidParameterError
from tests.kernels.test_matmul import CODEBOOKS, TYPES, columns, matrix
from tests.support.blocks import NUMBERS

ROWS = [5, 70, 16 * 9 - 1, 16 * 17]  # 1, 5, 9 and 17 panels: turns of every size, and panels without all of their rows


@pytest.mark.parametrize("isa", _core.available_isas()[1:])
@pytest.mark.parametrize("kind", TYPES)
def test_no_reading_changes_a_bit(kind: str, isa: str) -> None:
    n_cols = columns(kind, 3)
    for n_rows in ROWS:
        raw, _ = matrix(kind, n_rows, n_cols)
        for keep_indices in (True, False) if kind in CODEBOOKS else (None,):
            packed = _core._PackedMatrix(NUMBERS[kind], raw, n_rows, n_cols, isa, keep_indices)
            for n_tokens in (*range(1, 10), 12, 13):
                x = np.random.default_rng(n_tokens).standard_normal((n_tokens, n_cols)).astype(np.float32)
                results = []
                for reading in _core.readings():
                    packed.read_as(reading)
                    results.append(packed.run(x, isa)[0])

                assert np.abs(results[0]).max() > 0
                for reading, result in zip(_core.readings(), results, strict=True):
                    np.testing.assert_array_equal(result, results[0], err_msg=f"{reading}, {n_rows} x {n_tokens}")


def test_readings_have_names_of_their_own() -> None:
    names = _core.readings()

    assert len(set(names)) == len(names) > 1
    assert {_core.default_reading(False), _core.default_reading(True)} <= set(names)


def test_an_unknown_reading_is_refused() -> None:
    packed = _core._PackedMatrix(NUMBERS["F32"], np.zeros(64, np.uint8), 1, 16)

    with pytest.raises(InvalidParameterError, match=r"'backwards'.*1-run"):
        packed.read_as("backwards")
