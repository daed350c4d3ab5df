"""A model in several files opens through its first; a missing or foreign sibling is one clear error."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from oxillama.errors import ModelFormatError
from oxillama.gguf import GGUFFile, GGUFWriter
from tests.support import gguf_bytes as gb

if TYPE_CHECKING:
    from pathlib import Path


def write_shards(folder: Path, n_tensors: int = 5, alignment: int = 32) -> list[Path]:
    """Five tensors of 128 bytes, two to a shard."""
    with GGUFWriter(folder / "m.gguf", shard_bytes=256, alignment=alignment) as writer:
        writer.add("general.architecture", "llama")
        for i in range(n_tensors):
            writer.add_tensor(f"t{i}", np.full(32, i, np.float32))
    return writer.paths


def shard(
    folder: Path, name: str, no: int | None, count: int | None, total: int | None = None, tensor: str = ""
) -> None:
    metadata = []
    if no is not None:
        metadata.append(gb.scalar("split.no", "u16", no))
    if count is not None:
        metadata.append(gb.scalar("split.count", "u16", count))
    if total is not None:
        metadata.append(gb.scalar("split.tensors.count", "i32", total))
    tensors = [gb.tensor(tensor, (4,))] if tensor else []
    (folder / name).write_bytes(gb.file(metadata, tensors, bytes(16)))


@pytest.mark.parametrize("alignment", [32, 128])
def test_the_first_shard_opens_all(alignment: int, tmp_path: Path) -> None:
    paths = write_shards(tmp_path, alignment=alignment)
    assert [path.name for path in paths] == [f"m-0000{i}-of-00003.gguf" for i in (1, 2, 3)]

    file = GGUFFile(paths[0])

    assert list(file.tensors) == [f"t{i}" for i in range(5)]
    assert all(file.raw(f"t{i}").view("<f4").tolist() == [i] * 32 for i in range(5))
    assert file.require_str("general.architecture") == "llama"
    assert file.require_int("split.count") == 3
    assert file.file_bytes == sum(path.stat().st_size for path in paths)


def test_a_large_tensor_gets_its_own_shard(tmp_path: Path) -> None:
    with GGUFWriter(tmp_path / "m.gguf", shard_bytes=64) as writer:
        for name, n in (("small", 4), ("large", 4096), ("last", 4)):
            writer.add_tensor(name, np.ones(n, np.float32))
    assert len(writer.paths) == 3
    assert GGUFFile(writer.paths[0]).raw("large").view("<f4").sum() == 4096


def test_shards_work_from_another_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shards(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert len(GGUFFile("m-00001-of-00003.gguf").tensors) == 5


@pytest.mark.parametrize("count", [None, 0, 1])
def test_a_merged_file_needs_no_siblings(count: int | None, tmp_path: Path) -> None:
    shard(tmp_path, "merged.gguf", 0, count, 99, "a")
    assert GGUFFile(tmp_path / "merged.gguf").tensors.keys() == {"a"}


def test_a_missing_sibling_is_named(tmp_path: Path) -> None:
    paths = write_shards(tmp_path)
    paths[1].unlink()
    with pytest.raises(FileNotFoundError, match=r"m-00002-of-00003\.gguf: shard 2 of 3 is missing$"):
        GGUFFile(paths[0])


def test_a_later_shard_points_to_the_first(tmp_path: Path) -> None:
    paths = write_shards(tmp_path)
    with pytest.raises(
        ModelFormatError, match=r"m-00002-of-00003\.gguf: is shard 2 of 3; open the first, .*m-00001-of-00003\.gguf$"
    ):
        GGUFFile(paths[1])


def test_the_error_for_a_renamed_shard_gives_the_expected_name(tmp_path: Path) -> None:
    paths = write_shards(tmp_path)
    renamed = paths[0].rename(tmp_path / "mine.gguf")
    with pytest.raises(ModelFormatError, match=r"mine\.gguf: is shard 1 of 3, .* must end in '-00001-of-00003\.gguf'"):
        GGUFFile(renamed)


def test_shards_in_the_wrong_places_are_noticed(tmp_path: Path) -> None:
    paths = write_shards(tmp_path)
    shutil.copy(paths[2], paths[1])
    with pytest.raises(
        ModelFormatError, match=r"m-00002-of-00003\.gguf: by its keys is shard 3 of 3, by its name 2 of 3$"
    ):
        GGUFFile(paths[0])


def test_a_file_that_is_not_a_shard_cannot_be_a_sibling(tmp_path: Path) -> None:
    shard(tmp_path, "m-00001-of-00002.gguf", 0, 2)
    shard(tmp_path, "m-00002-of-00002.gguf", None, None)
    with pytest.raises(ModelFormatError, match=r"00002\.gguf: by its keys is shard 1 of 1, by its name 2 of 2$"):
        GGUFFile(tmp_path / "m-00001-of-00002.gguf")


def test_a_damaged_sibling_is_named(tmp_path: Path) -> None:
    paths = write_shards(tmp_path)
    paths[2].write_bytes(paths[2].read_bytes()[:-1])
    with pytest.raises(
        ModelFormatError, match=r"m-00003-of-00003\.gguf: tensor 't4': its 128 bytes at offset 0 lie past"
    ):
        GGUFFile(paths[0])


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    shard(tmp_path, "m-00001-of-00002.gguf", 0, 2, 2, "same")
    shard(tmp_path, "m-00002-of-00002.gguf", 1, 2, 2, "same")
    with pytest.raises(ModelFormatError, match=r"m-0000[12]-of-00002\.gguf: tensor 'same': occurs twice"):
        GGUFFile(tmp_path / "m-00001-of-00002.gguf")


def test_a_wrong_total_is_refused(tmp_path: Path) -> None:
    shard(tmp_path, "m-00001-of-00002.gguf", 0, 2, 3, "a")
    shard(tmp_path, "m-00002-of-00002.gguf", 1, 2, 3, "b")
    with pytest.raises(ModelFormatError, match=r"key 'split.tensors.count': 3, but the shards hold 2 tensors$"):
        GGUFFile(tmp_path / "m-00001-of-00002.gguf")


def test_a_shard_number_past_the_count_is_refused(tmp_path: Path) -> None:
    shard(tmp_path, "m-00001-of-00002.gguf", 2, 2)
    with pytest.raises(ModelFormatError, match=r"key 'split.no': 2 is not below split.count, 2$"):
        GGUFFile(tmp_path / "m-00001-of-00002.gguf")


BAD_KEYS = {
    "text": gb.string("split.count", "3"),
    "negative": gb.scalar("split.count", "i32", -1),
    "fraction": gb.scalar("split.count", "f32", 2),
}


@pytest.mark.parametrize("case", BAD_KEYS)
def test_a_shard_count_that_is_not_an_integer_is_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gb.file([BAD_KEYS[case]], []))
    with pytest.raises(ModelFormatError, match=r"m\.gguf: key 'split\.count': must be a whole number of at least 0$"):
        GGUFFile(path)


def test_a_shard_count_beyond_all_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m-00001-of-00002.gguf"
    path.write_bytes(gb.file([gb.scalar("split.count", "u64", 2**64 - 1)], []))
    with pytest.raises(ModelFormatError, match=r"key 'split\.count': 18446744073709551615 is more than 65535$"):
        GGUFFile(path)


def test_an_unusual_integer_type_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "m-00001-of-00001.gguf"
    path.write_bytes(gb.file([gb.scalar("split.count", "i64", 1), gb.scalar("split.no", "u8", 0)], []))
    assert GGUFFile(path).tensors == {}
