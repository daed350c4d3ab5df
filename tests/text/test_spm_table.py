"""The hash table of SentencePiece pieces: files cannot choose pieces that collide, and pieces must be bytes."""

from __future__ import annotations

import itertools
import time
from array import array

import numpy as np
import pytest

from oxillama.core._core import SpmVocab
from oxillama.errors import InvalidParameterError

WORDS = 13
PIECES = 1 << WORDS


def differing_in_high_bits() -> list[bytes]:
    """Pairs of pieces, each of two words: one piece flips bit 63 of the first word and bits 63 and 31 of the second.

    A hash that XORs a word, multiplies by an odd number and XORs the upper half into the lower one loses that
    difference, whatever it starts from.
    """
    plain = (0x4141414141414141, 0x4242424242424242)
    flipped = (plain[0] ^ 1 << 63, plain[1] ^ 1 << 63 ^ 1 << 31)
    encoded = [b"".join(word.to_bytes(8, "little") for word in pair) for pair in (plain, flipped)]
    return [b"".join(choice) for choice in itertools.product(encoded, repeat=WORDS)]


def seconds_to_open(pieces: list[bytes]) -> float:
    best = float("inf")
    for seed in (1, 2**63, 0x9E3779B97F4A7C15):
        start = time.perf_counter()
        SpmVocab(pieces, np.zeros(len(pieces), np.float32), seed)
        best = min(best, time.perf_counter() - start)
    return best


def test_pieces_chosen_to_collide_are_as_quick_as_others() -> None:
    rng = np.random.default_rng(0)
    others = [rng.bytes(16 * WORDS) for _ in range(PIECES)]
    assert seconds_to_open(differing_in_high_bits()) < 10 * seconds_to_open(others)


class Short(bytes):
    def __len__(self) -> int:
        return 1 << 40


@pytest.mark.parametrize("piece", [Short(b"a"), bytearray(b"a"), memoryview(array("i", [1, 2])), None, "a"])
def test_a_piece_must_be_exactly_bytes(piece: object) -> None:
    with pytest.raises(TypeError, match="must be bytes"):
        SpmVocab([b"b", piece], np.zeros(2, np.float32), 0)  # type: ignore[list-item]


def test_a_score_of_nan_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="the score of token 1 is no number"):
        SpmVocab([b"a", b"b"], np.array([0, np.nan], np.float32), 0)
