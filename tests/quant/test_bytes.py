"""Quantising gives the same bytes on every machine: recorded digests of the same weights in every type.

Builds differ in their instruction set and in the copy of an encoder that the loader chooses, but the bytes must be the
same. After a change of a quantiser, record the digests again: `python -m tests.quant.test_bytes` prints them.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np
import pytest

from oxillama.core import _core
from tests.quant.rows import NUMBERS, TYPES, Floats

DIGESTS = {
    "Q4_0": "093cf26a22a3efc3",
    "Q4_1": "e69294c8f8690b54",
    "Q5_0": "70efa012f749f52a",
    "Q5_1": "0ecd07afe3bbc212",
    "Q8_0": "56f31b3fa6dc2e4e",
    "Q2_K": "0c7846bc3df96249",
    "Q3_K": "d50a1693f22c7c57",
    "Q4_K": "c7a4566d4c3aa861",
    "Q5_K": "4d0bb8b9f2af42ba",
    "Q6_K": "c12f1a5091e0cdf1",
    "IQ2_XXS": "d857d9bbd938fddd",
    "IQ2_XS": "99c55ee195944330",
    "IQ3_XXS": "347a815cca958a64",
    "IQ1_S": "77b20a798fcf9fcb",
    "IQ4_NL": "76eb65cf07fd6e33",
    "IQ3_S": "26e752fa5ac9d69a",
    "IQ2_S": "8a97af316a10d48b",
    "IQ4_XS": "ca59765efbe3f286",
    "IQ1_M": "f2d429719f10eb54",
    "TQ1_0": "88fdb2c7c830f8ef",
    "TQ2_0": "9f047a8f3e7267e3",
    "MXFP4": "1e4d594958f93054",
    "NVFP4": "7ad70405ab1e2bfa",
    "Q1_0": "f399a084ea4ec1bc",
    "Q2_0": "7812a92e3df92b0c",
}


def whole_numbers(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Numbers below 2^16 from a linear congruential generator: NumPy's own may change with its version."""
    state, numbers = seed, []
    for _ in range(shape[0] * shape[1]):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        numbers.append(state >> 48)
    return np.array(numbers, np.int64).reshape(shape)


@functools.cache
def weights() -> Floats:
    """Eight rows of 512 roughly Gaussian weights with some outliers, exact in single precision."""
    total = sum(whole_numbers((8, 512), seed) - 32768 for seed in range(4))
    far = whole_numbers((8, 512), 4) < 1000
    return (np.where(far, 8 * total, total) / 2**21).astype(np.float32)


def digest(name: str) -> str:
    quantizer, x = _core.Quantizer(NUMBERS[name]), weights()
    importance = ((whole_numbers((1, 512), 5)[0] + 1) / 2**16).astype(np.float32)
    both = quantizer.rows(x, None).tobytes() + quantizer.rows(x, importance).tobytes()
    return hashlib.sha256(both).hexdigest()[:16]


@pytest.mark.parametrize("name", TYPES)
def test_every_machine_makes_the_same_bytes(name: str) -> None:
    assert digest(name) == DIGESTS[name]


if __name__ == "__main__":
    for name in TYPES:
        print(f'    "{name}": "{digest(name)}",')
