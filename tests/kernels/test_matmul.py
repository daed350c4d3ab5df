"""The kernels of every isa compute the product that the formats define: close to float64, closer to generic's."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from oxillama.core import _core
from oxillama.errors import InvalidParameterError, ModelFormatError, ModelUnsupportedError
from tests.support.blocks import NUMBERS, random_matrix, with_scales
from tests.support.isas import need_isa

FLOAT_TYPES = ["F32", "F16", "BF16"]
# Bytes of 256 packed weights. Formats that are not listed have the same size as in the file.
BLOCK_TYPES = {
    **{"Q4_0": None, "Q8_0": None, "Q4_K": None, "Q5_K": None, "Q6_K": None},
    **{"Q4_1": None, "Q5_0": None, "Q5_1": None, "Q8_1": 272, "Q2_K": None, "Q3_K": 114, "Q8_K": 260},
    **{"IQ4_NL": None, "IQ4_XS": 138, "MXFP4": None, "NVFP4": None, "IQ1_S": 106, "IQ1_M": 114, "IQ2_XXS": 106},
    **{"IQ2_XS": 114, "IQ2_S": 114, "IQ3_XXS": 138, "IQ3_S": 138, "TQ1_0": 72, "TQ2_0": 72, "Q1_0": None, "Q2_0": None},
}
# The same for isas that keep codebook indices because they look entries up quickly.
CODEBOOKS = {"IQ1_S": 74, "IQ1_M": 78, "IQ2_XXS": 70, "IQ2_XS": 78, "IQ2_S": 82, "IQ3_XXS": 102, "IQ3_S": 110}
TYPES = [*FLOAT_TYPES, *BLOCK_TYPES]
# What a build for this processor family holds; an isa the machine at hand cannot execute is a skip that says so.
ISAS = ["generic", "avx2-base", "avx2-vnni", "avx512-base", "avx512-vnni", "avx512-vbmi", "avx512-bf16"]
ISAS += ["neon-dot", "neon-i8mm"]
# For isas that inherit the other formats from the isa below.
OWN_KINDS = {"avx512-vbmi": ["Q3_K", "IQ4_XS", *CODEBOOKS], "avx512-bf16": ["BF16"], "neon-i8mm": list(BLOCK_TYPES)}
SHAPES = [(1, 1), (16, 1), (17, 2), (40, 3), (64, 5), (81, 1)]  # rows, columns in largest blocks
TOKENS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 40, 65, 67, 70]  # few read packed weights in place, many unpack them
COMMON = ["Q4_0", "Q8_0", "Q4_K", *FLOAT_TYPES]  # they share the others' kernels: test every number of tokens

every_type = pytest.mark.parametrize("kind", TYPES, ids=TYPES)


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    need_isa(name)
    kind = request.node.callspec.params.get("kind")
    if name in OWN_KINDS and kind not in OWN_KINDS[name]:
        pytest.skip(f"{name} has its other kernels from the isa below")
    return name


def bfloat(x: np.ndarray) -> np.ndarray:
    """x rounded to what 16 bits of bfloat hold, as floats."""
    raw = _core.quantize(NUMBERS["BF16"], np.ascontiguousarray(x, np.float32).ravel())
    return _core.dequantize(NUMBERS["BF16"], raw, x.size).reshape(x.shape)


def activations(kind: str, seed: int, n_tokens: int, n_cols: int) -> np.ndarray:
    """Gaussian; for matrices of bfloat16 rounded to it, as isas that multiply pairs of bfloat16 would do."""
    x = np.random.default_rng(seed).standard_normal((n_tokens, n_cols)).astype(np.float32)
    return bfloat(x) if kind == "BF16" else x


def decoded(kind: str, raw: np.ndarray, n_rows: int, n_cols: int) -> np.ndarray:
    return _core.dequantize(NUMBERS[kind], raw, n_rows * n_cols).reshape(n_rows, n_cols).astype(np.float64)


def matrix(kind: str, n_rows: int, n_cols: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Encoded bytes of a random matrix, and its decoded values in float64."""
    if kind in FLOAT_TYPES:
        rng = np.random.default_rng([seed, NUMBERS[kind], n_rows, n_cols])
        raw = _core.quantize(NUMBERS[kind], rng.standard_normal(n_rows * n_cols).astype(np.float32))
    else:
        raw = random_matrix(kind, n_rows, n_cols, seed)
    return raw, decoded(kind, raw, n_rows, n_cols)


def extreme_matrix(kind: str, n_rows: int, n_cols: int) -> tuple[np.ndarray, np.ndarray]:
    """Blocks of only the lowest or highest bytes, with large but finite scales."""
    _, block, size = _core.tensor_types()[NUMBERS[kind]]
    rng = np.random.default_rng(NUMBERS[kind])
    blocks = np.repeat(rng.choice(np.array([0, 255, 127, 128], np.uint8), (n_rows * n_cols // block, 1)), size, axis=1)
    mixed = rng.random(len(blocks)) < 0.3
    blocks[mixed] = rng.integers(0, 256, blocks[mixed].shape, dtype=np.uint8)
    scales = np.tile(np.array([-1.5, 1.75], np.float32), (len(blocks), 1))
    raw = with_scales(kind, blocks, scales).ravel()
    return raw, decoded(kind, raw, n_rows, n_cols)


def columns(kind: str, blocks: int) -> int:
    block = _core.tensor_types()[NUMBERS[kind]][1]
    return blocks * block if block > 1 else blocks * 43


@cache
def case(kind: str, n_rows: int, n_cols: int, n_tokens: int) -> tuple[np.ndarray, ...]:
    """Made once for all isas: bytes and activations; the product in float64, generic's, and two measures of how
    large outputs could be (the root of the sum of squares, the sum of magnitudes)."""
    raw, weights = matrix(kind, n_rows, n_cols)
    x = activations(kind, n_tokens, n_tokens, n_cols)
    generic = _core._matmul(NUMBERS[kind], raw, n_rows, n_cols, x, "generic")
    spread = np.sqrt((x.astype(np.float64) ** 2) @ (weights**2).T)
    return raw, x, x @ weights.T, generic, spread, np.abs(x).astype(np.float64) @ np.abs(weights).T


def assert_like_generic(got: np.ndarray, generic: np.ndarray, weights: np.ndarray, x: np.ndarray) -> None:
    magnitude = np.abs(x).astype(np.float64) @ np.abs(weights).T
    np.testing.assert_array_less(np.abs(got.astype(np.float64) - generic), 1e-5 * magnitude + 1e-30)


@every_type
@pytest.mark.parametrize(("n_rows", "blocks"), SHAPES)
def test_products_agree_with_float64_and_with_generic(kind: str, n_rows: int, blocks: int, isa: str) -> None:
    n_cols = columns(kind, blocks)
    for n_tokens in (1, 7, 33) if n_rows >= 64 else TOKENS if kind in COMMON else (1, 2, 3, 4, 8, 13, 67):
        raw, x, want, generic, spread, most = case(kind, n_rows, n_cols, n_tokens)

        got = _core._matmul(NUMBERS[kind], raw, n_rows, n_cols, x, isa)

        limit = 1e-2 if kind in BLOCK_TYPES else 2e-6
        np.testing.assert_array_less(np.abs(got - want), 6 * limit * spread)  # every single output
        np.testing.assert_array_less(np.abs(got.astype(np.float64) - generic), 1e-5 * most + 1e-30)


@every_type
def test_large_products_are_within_a_hundredth_of_float64(kind: str, isa: str) -> None:
    raw, x, want, *_ = case(kind, 48, 2048, 13)

    got = _core._matmul(NUMBERS[kind], raw, 48, 2048, x, isa)

    assert np.linalg.norm(got - want) <= (1e-2 if kind in BLOCK_TYPES else 1e-6) * np.linalg.norm(want)


@pytest.mark.parametrize("kind", BLOCK_TYPES, ids=list(BLOCK_TYPES))
@pytest.mark.parametrize("n_tokens", [1, 6, 20, 68])
def test_extreme_codes_and_activations_do_not_saturate(kind: str, n_tokens: int, isa: str) -> None:
    n_rows, n_cols = 33, 768
    raw, weights = extreme_matrix(kind, n_rows, n_cols)
    rng = np.random.default_rng(n_tokens)
    x = rng.choice(np.array([-1, 1], np.float32), (n_tokens, n_cols))
    x[0] = 1
    x[-1] = -1

    got = _core._matmul(NUMBERS[kind], raw, n_rows, n_cols, x, isa)

    # Activations of +-1 are quantised exactly, so only float rounding is left.
    assert_like_generic(got, (x @ weights.T).astype(np.float64), weights, x)


@every_type
def test_a_tokens_result_does_not_depend_on_its_company(kind: str, isa: str) -> None:
    n_rows, n_cols = 50, columns(kind, 3)
    raw, _ = matrix(kind, n_rows, n_cols)
    x = np.random.default_rng(1).standard_normal((70, n_cols)).astype(np.float32)

    together = _core._matmul(NUMBERS[kind], raw, n_rows, n_cols, x, isa)

    for n in (1, 2, 3, 5, 6, 8, 11, 33, 66):
        for at in (0, 1, 70 - n):
            alone = _core._matmul(NUMBERS[kind], raw, n_rows, n_cols, np.ascontiguousarray(x[at : at + n]), isa)
            np.testing.assert_array_equal(alone, together[at : at + n])


@every_type
def test_threads_do_not_change_a_bit(kind: str, isa: str) -> None:
    n_rows, n_cols = 270, columns(kind, 2)  # 17 panels: turns of an even and of an odd number of them
    raw, _ = matrix(kind, n_rows, n_cols)
    packed = _core._PackedMatrix(NUMBERS[kind], raw, n_rows, n_cols)
    for n_tokens in (1, 2, 5, 9, 67):
        x = np.random.default_rng(2).standard_normal((n_tokens, n_cols)).astype(np.float32)

        results = [packed.run(x, isa, n_threads)[0] for n_threads in (1, 2, 5)]

        np.testing.assert_array_equal(results[1], results[0])
        np.testing.assert_array_equal(results[2], results[0])


@every_type
def test_prompts_longer_than_a_round_are_whole(kind: str, isa: str) -> None:
    n_cols = columns(kind, 2)
    raw, weights = matrix(kind, 40, n_cols)
    x = activations(kind, 3, 1030, n_cols)

    got = _core._matmul(NUMBERS[kind], raw, 40, n_cols, x, isa)

    want = x @ weights.T
    assert np.linalg.norm(got - want) <= (1.2e-2 if kind in BLOCK_TYPES else 1e-6) * np.linalg.norm(want)


@pytest.mark.parametrize("kind", ["BF16"])
def test_activations_are_rounded_to_nearest_or_not_at_all(kind: str, isa: str) -> None:
    n_rows, n_cols = 33, 301
    raw, weights = matrix(kind, n_rows, n_cols)
    for n_tokens in (1, 5, 70):
        x = np.random.default_rng(7).standard_normal((n_tokens, n_cols)).astype(np.float32)

        got, rounded = (_core._matmul(NUMBERS[kind], raw, n_rows, n_cols, y, isa) for y in (x, bfloat(x)))

        if isa == "avx512-bf16":
            np.testing.assert_array_equal(got, rounded)
            assert np.linalg.norm(got - x @ weights.T) < 2e-3 * np.linalg.norm(got)
        else:
            assert np.linalg.norm(got - x @ weights.T) < 1e-6 * np.linalg.norm(got)


@every_type
def test_zero_activations_give_zero(kind: str, isa: str) -> None:
    n_cols = columns(kind, 2)
    raw, _ = matrix(kind, 20, n_cols)

    for n_tokens in (1, 12):
        x = np.zeros((n_tokens, n_cols), np.float32)
        np.testing.assert_array_equal(_core._matmul(NUMBERS[kind], raw, 20, n_cols, x, isa), 0)


@every_type
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_non_finite_activation_affects_only_its_own_token(kind: str, bad: float, isa: str) -> None:
    n_rows, n_cols = 20, columns(kind, 3)
    raw, _ = matrix(kind, n_rows, n_cols)
    for n_tokens in (3, 14, 68):
        x = np.random.default_rng(4).standard_normal((n_tokens, n_cols)).astype(np.float32)
        clean = _core._matmul(NUMBERS[kind], raw, n_rows, n_cols, x, isa)
        x[1, n_cols // 2] = bad

        got = _core._matmul(NUMBERS[kind], raw, n_rows, n_cols, x, isa)

        assert not np.isfinite(got[1]).any()
        others = np.arange(n_tokens) != 1
        np.testing.assert_array_equal(got[others], clean[others])


@pytest.mark.parametrize("kind", BLOCK_TYPES, ids=list(BLOCK_TYPES))
def test_huge_and_tiny_activations_stay_accurate(kind: str, isa: str) -> None:
    raw, weights = matrix(kind, 32, 512)
    for scale in (1e-25, 1e25):
        x = (np.random.default_rng(6).standard_normal((3, 512)) * scale).astype(np.float32)

        got = _core._matmul(NUMBERS[kind], raw, 32, 512, x, isa)

        want = x @ weights.T
        assert np.linalg.norm(got - want) <= 1.3e-2 * np.linalg.norm(want)


@every_type
def test_packed_weights_have_about_the_size_of_the_file(kind: str) -> None:
    _, block, size = _core.tensor_types()[NUMBERS[kind]]
    per_256 = BLOCK_TYPES.get(kind) or 256 // block * size
    raw = matrix(kind, 64, 2048)[0]

    decoded_once = _core._PackedMatrix(NUMBERS[kind], raw, 64, 2048, keep_indices=False)
    kept = _core._PackedMatrix(NUMBERS[kind], raw, 64, 2048, keep_indices=True)

    assert decoded_once.packed_bytes == 64 * 8 * per_256
    assert kept.packed_bytes == 64 * 8 * CODEBOOKS.get(kind, per_256)


@pytest.mark.parametrize("kind", CODEBOOKS)
def test_keeping_indices_changes_no_bit(kind: str, isa: str) -> None:
    n_rows, n_cols = 70, 768
    raw, _ = matrix(kind, n_rows, n_cols)
    for n_tokens in (1, 3, 5, 9, 70):
        x = np.random.default_rng(n_tokens).standard_normal((n_tokens, n_cols)).astype(np.float32)

        kept, decoded_once = (_core._matmul(NUMBERS[kind], raw, n_rows, n_cols, x, isa, keep) for keep in (True, False))

        np.testing.assert_array_equal(kept, decoded_once)


@pytest.mark.parametrize("kind", list(BLOCK_TYPES))
@pytest.mark.parametrize("blocks", [1, 2])
def test_packing_keeps_every_code_and_scale(kind: str, blocks: int) -> None:
    n_cols = columns(kind, blocks)
    raw, weights = matrix(kind, 17, n_cols)

    got = _core._matmul(NUMBERS[kind], raw, 17, n_cols, 127 * np.eye(n_cols, dtype=np.float32), "generic")

    # An activation of 127 is quantised to itself, so that each output is one weight.
    largest = np.abs(weights).max(axis=1)
    assert (np.abs(got.T / 127 - weights) <= 1e-6 * largest[:, None]).all()


@pytest.mark.parametrize("n_tokens", [1, 20, 70])
def test_the_smallest_and_largest_powers_of_two_are_kept(isa: str, n_tokens: int) -> None:
    exponents = np.array([0, 1, 2, 3, 126, 127, 128, 240], np.uint8)
    blocks = np.full((len(exponents), 17), 0x22, np.uint8)  # codes of value 2, which is 1 for a halved scale
    blocks[:, 0] = exponents
    x = np.ones((n_tokens, 32), np.float32)

    got = _core._matmul(NUMBERS["MXFP4"], blocks.ravel(), len(exponents), 32, x, isa)

    np.testing.assert_allclose(got, np.tile(32 * 2.0 ** (exponents - 127.0), (n_tokens, 1)), rtol=1e-5)


def test_probes_measure_every_isa_but_generic() -> None:
    for name in _core.available_isas()[1:]:
        read, operations = _core._probe(name, n_threads=2, repeats=1, read_bytes=4 << 20)
        assert read > 0
        assert operations > 0
    with pytest.raises(InvalidParameterError, match="generic"):
        _core._probe("generic")


def test_shapes_that_cannot_be_packed_are_refused() -> None:
    with pytest.raises(ModelFormatError, match="block of 256"):
        _core._PackedMatrix(12, np.zeros(144, np.uint8), 1, 200)
    with pytest.raises(InvalidParameterError, match="0 rows"):
        _core._PackedMatrix(12, np.zeros(144, np.uint8), 0, 256)
    with pytest.raises(ModelUnsupportedError, match="I32"):
        _core._PackedMatrix(26, np.zeros(128, np.uint8), 1, 32)
    with pytest.raises(InvalidParameterError, match="takes 144 bytes"):
        _core._PackedMatrix(12, np.zeros(100, np.uint8), 1, 256)
