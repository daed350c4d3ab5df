"""Truncation at every byte and thousands of damaged bytes: every outcome is a file or one clear line."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from oxillama.core._core import GGUF
from oxillama.errors import ModelError, ModelFormatError
from tests.support import gguf_bytes as gb

if TYPE_CHECKING:
    from pathlib import Path


def read_everything(file: GGUF) -> int:
    """Touch every value and every byte of every tensor."""
    values = file.metadata()
    assert file.metadata_types().keys() == values.keys()
    return sum(int(file.raw(name).sum()) for name in file.tensors())


def test_truncation_at_every_byte_is_refused(tmp_path: Path) -> None:
    whole = gb.small_model()
    path = tmp_path / "cut.gguf"
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        with pytest.raises(ModelFormatError) as caught:
            GGUF(path)
        assert str(caught.value).startswith(f"{path}: "), n
    path.write_bytes(whole)
    assert read_everything(GGUF(path)) > 0


def damaged(whole: bytes, rng: random.Random) -> bytes:
    """One to four damages: a flipped bit, a byte or word of extremes, a run removed, repeated or moved."""
    data = bytearray(whole)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        n = rng.choice([1, 2, 4, 8, 17])
        match rng.randrange(6):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.choice([0, 1, 8, 9, 127, 128, 255])
            case 2:
                data[at : at + 8] = rng.choice([0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1]).to_bytes(8, "little")
            case 3:
                del data[at : at + n]
            case 4:
                data[at:at] = data[at : at + n]
            case 5:
                data[at : at + n] = data[:n]
        if not data:
            break
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_damage_gives_a_file_or_an_error(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    whole = gb.small_model()
    path = tmp_path / "damaged.gguf"
    opened, lines = 0, []
    for _ in range(500):
        path.write_bytes(damaged(whole, rng))
        try:
            read_everything(GGUF(path))
            opened += 1
        except (ModelError, FileNotFoundError) as error:
            lines.append(str(error))
    # Both outcomes must be common, or the damage would test nothing.
    assert opened > 30
    assert len(lines) > 30
    assert all(str(path) in line and len(line.splitlines()) == 1 for line in lines)
