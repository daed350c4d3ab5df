"""A data directory is opened by one process at a time, and reports when nothing can be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oxillama.errors import StoreError, StoreFullError, StoreReadOnlyError
from oxillama.storage.data_dir import open_data_dir
from oxillama.storage.jsonl import JsonlFile
from tests.support.failing_disk import FailingDisk

if TYPE_CHECKING:
    from pathlib import Path


async def test_the_directory_is_made_and_kept_from_others_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "data"
    async with open_data_dir(path) as data:
        assert data.path == str(path)
        with pytest.raises(StoreError, match="in use by another"):
            async with open_data_dir(path):
                pass
    async with open_data_dir(path):
        pass


async def test_a_full_disk_is_reported_until_there_is_space(tmp_path: Path) -> None:
    disk = FailingDisk()
    async with open_data_dir(tmp_path, disk=disk) as data:
        assert await data.trouble() is None
        disk.full = True
        for refused in (
            lambda: data.durable.write_json(f"{data.path}/f.json", {}),
            lambda: JsonlFile(data.durable, f"{data.path}/f.jsonl", dict[str, int]).append([{"n": 1}]),
        ):
            with pytest.raises(StoreFullError):
                refused()
            assert await data.trouble() == "full"
            assert await data.trouble() == "full"
            disk.full = False
            assert await data.trouble() is None  # nothing was written since
            disk.full = True
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.jsonl", "lock"]


async def test_a_failed_fsync_is_reported_until_the_restart(tmp_path: Path) -> None:
    disk = FailingDisk()
    async with open_data_dir(tmp_path, disk=disk) as data:
        disk.broken = True
        with pytest.raises(StoreReadOnlyError):
            data.durable.write_json(f"{data.path}/f.json", {})
        disk.broken = False
        assert await data.trouble() == "read_only"


async def test_a_lock_that_cannot_be_opened_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(StoreError) as caught:
        async with open_data_dir(tmp_path):
            pass
    assert str(caught.value) == f"{tmp_path}/lock cannot be opened: Is a directory. Give another --data-dir."
