"""File formats: decoding equals the reference to the last bit, and unsupported types are named."""

from __future__ import annotations

from collections.abc import Callable

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize as reference_decode

from oxillama.core import _core
from oxillama.errors import InvalidParameterError, ModelUnsupportedError

Type = gguf.GGMLQuantizationType
BLOCK_TYPES = [Type.Q4_0, Type.Q8_0, Type.Q4_K, Type.Q5_K, Type.Q6_K]
MORE_TYPES = [
    *(Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q2_K, Type.Q3_K, Type.IQ4_NL, Type.IQ4_XS, Type.MXFP4, Type.NVFP4),
    *(Type.IQ1_S, Type.IQ1_M, Type.IQ2_XXS, Type.IQ2_XS, Type.IQ2_S, Type.IQ3_XXS, Type.IQ3_S, Type.TQ1_0, Type.TQ2_0),
]
TYPES = [Type.F32, Type.F16, Type.BF16, *BLOCK_TYPES, *MORE_TYPES]
HALF = np.finfo(np.float16)
# Every kind of scale a half can be: zeros, subnormals, the smallest and largest normals, infinities, NaNs.
HALF_EDGES = np.array([0, 0x8000, 1, 0x8001, 0x03FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E01, 0xFE00], np.uint16)
SCALE_OFFSETS = {Type.Q4_0: [0], Type.Q8_0: [0], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208]}


def names(types: list[Type]) -> list[str]:
    return [t.name for t in types]


def decode_both(kind: Type, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    block, size = gguf.GGML_QUANT_SIZES[kind]
    with np.errstate(all="ignore"):
        want = reference_decode(raw.copy(), kind).ravel().astype(np.float32)
    return _core.dequantize(int(kind), raw, raw.size // size * block), want


def assert_same_bits(got: np.ndarray, want: np.ndarray) -> None:
    nan = np.isnan(want)
    np.testing.assert_array_equal(
        np.isnan(got), nan
    )  # which of a product's two NaNs survives depends on the processor
    np.testing.assert_array_equal(got.view(np.uint32)[~nan], want.view(np.uint32)[~nan])


@pytest.mark.parametrize("kind", TYPES, ids=names(TYPES))
def test_random_bytes_decode_to_the_reference_bits(kind: Type) -> None:
    block, size = gguf.GGML_QUANT_SIZES[kind]
    raw = np.random.default_rng(int(kind)).integers(0, 256, 512 * 256 // block * size, dtype=np.uint8)

    assert_same_bits(*decode_both(kind, raw))


# By definition: the reference package has no decoder for these.
@pytest.mark.parametrize(
    ("kind", "dtype", "decode"),
    [
        (9, [("d", "<f2"), ("s", "<f2"), ("q", "i1", 32)], lambda b: b["q"]),
        (15, [("d", "<f4"), ("q", "i1", 256), ("sums", "<i2", 16)], lambda b: b["q"]),
        (41, [("d", "<f2"), ("q", "u1", 16)], lambda b: np.unpackbits(b["q"], axis=1, bitorder="little") * 2.0 - 1),
        (42, [("d", "<f2"), ("q", "u1", 16)], lambda b: (b["q"][:, :, None] >> [0, 2, 4, 6] & 3).reshape(-1, 64) - 1.0),
    ],
    ids=["Q8_1", "Q8_K", "Q1_0", "Q2_0"],
)
def test_random_bytes_decode_as_the_format_is_defined(
    kind: int, dtype: list[tuple[str, ...]], decode: Callable[[np.ndarray], np.ndarray]
) -> None:
    blocks = np.random.default_rng(kind).integers(0, 256, 500 * np.dtype(dtype).itemsize, dtype=np.uint8).view(dtype)
    codes = decode(blocks).astype(np.float32)
    with np.errstate(all="ignore"):
        want = blocks["d"].astype(np.float32)[:, None] * codes

    assert_same_bits(_core.dequantize(kind, blocks.view(np.uint8), codes.size), want.ravel())


@pytest.mark.parametrize("kind", BLOCK_TYPES, ids=names(BLOCK_TYPES))
def test_extreme_scales_decode_to_the_reference_bits(kind: Type) -> None:
    size = gguf.GGML_QUANT_SIZES[kind][1]
    rng = np.random.default_rng(7)
    blocks = rng.integers(0, 256, (len(HALF_EDGES) ** 2, size), dtype=np.uint8)
    blocks[1::3] = rng.choice(np.array([0, 255], np.uint8), blocks[1::3].shape)
    for at, pick in zip(SCALE_OFFSETS[kind], (0, 1), strict=False):
        edges = HALF_EDGES[np.arange(len(blocks)) // len(HALF_EDGES) ** pick % len(HALF_EDGES)]
        blocks[:, at : at + 2] = edges.view(np.uint8).reshape(-1, 2)

    assert_same_bits(*decode_both(kind, blocks.ravel()))


def test_all_halves_decode_to_the_reference_bits() -> None:
    assert_same_bits(*decode_both(Type.F16, np.arange(65536, dtype=np.uint16).view(np.uint8)))


# Which casts of infinities, NaN and large numbers numpy warns of depends on the processor.
@np.errstate(all="ignore")
def test_floats_round_to_half_and_bfloat_as_the_reference_does() -> None:
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2**32, 200_000, dtype=np.uint64).astype(np.uint32)
    halves = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32).view(np.uint32)
    near_half = halves[:, None] + [-1, 0, 1, 4096]
    values = np.concatenate([bits, near_half.ravel().astype(np.uint32)]).view(np.float32)
    values = values[~np.isnan(values)]

    halved = values.astype(np.float16).view(np.uint16)
    np.testing.assert_array_equal(_core.quantize(1, values).view(np.uint16), halved)
    want = gguf.quants.quantize(values.reshape(1, -1), Type.BF16).view(np.uint16).ravel()
    np.testing.assert_array_equal(_core.quantize(30, values).view(np.uint16), want)


def test_an_unsupported_type_is_named() -> None:
    with pytest.raises(ModelUnsupportedError, match="I32"):
        _core.dequantize(26, np.zeros(128, np.uint8), 32)
    with pytest.raises(ModelUnsupportedError, match="999"):
        _core.quantize(999, np.zeros(32, np.float32))


@pytest.mark.parametrize(("n", "length"), [(31, 18), (0, 0), (32, 17), (64, 18)])
def test_lengths_that_do_not_fit_are_refused(n: int, length: int) -> None:
    with pytest.raises(InvalidParameterError):
        _core.dequantize(2, np.zeros(length, np.uint8), n)
