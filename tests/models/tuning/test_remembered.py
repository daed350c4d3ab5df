"""Choices are kept for each processor in a file that may be broken or missing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from oxillama import __version__
from oxillama.models.tuning import remembered

NAMES = ["a", "b", "c"]


def test_choices_are_remembered_for_each_processor() -> None:
    here, there = remembered.key_of("one", "x", 2, NAMES), remembered.key_of("two", "x", 2, NAMES)
    remembered.remember(here, {"Q4_K": remembered.Remembered("a", 1)})
    remembered.remember(there, {"Q4_K": remembered.Remembered("b", 2)})
    remembered.remember(here, {"Q6_K": remembered.Remembered("c", 1)})

    assert remembered.recall(here, NAMES) == {
        "Q4_K": remembered.Remembered("a", 1),
        "Q6_K": remembered.Remembered("c", 1),
    }
    assert remembered.recall(there, NAMES) == {"Q4_K": remembered.Remembered("b", 2)}


def test_a_choice_depends_on_everything_that_its_key_names() -> None:
    keys = {
        remembered.key_of(processor, variant, n_threads, names)
        for processor in ("one", "two")
        for variant in ("x", "y")
        for n_threads in (1, 2)
        for names in (NAMES, NAMES[:2])
    }
    assert len(keys) == 16
    assert all(__version__ in key for key in keys)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "[" * 100_000, '{"k": 3}', '{"k": {"Q4_K": "a"}}', '{"k": {"Q4_K": {"reading": "a"}}}',
     '{"k": {"Q4_K": {"reading": "gone", "seen": 2}}}', '{"k": {"Q4_K": {"reading": ["a"], "seen": 2}}}'],
)  # fmt: skip
def test_a_broken_file_counts_as_absent_and_is_replaced(cache: Path, content: str) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text(content)

    assert remembered.recall("k", NAMES) == {}
    remembered.remember("k", {"Q6_K": remembered.Remembered("b", 1)})
    assert remembered.recall("k", NAMES) == {"Q6_K": remembered.Remembered("b", 1)}


def test_bytes_that_are_no_text_count_as_absent(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"\xff\xfe\x00")

    assert remembered.recall("k", NAMES) == {}


def test_a_directory_that_cannot_be_made_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    remembered.remember("k", {"Q4_K": remembered.Remembered("a", 1)})

    assert remembered.recall("k", NAMES) == {}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered.remember("k", {"Q4_K": remembered.Remembered("a", 1)})
    before = cache.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    remembered.remember("k", {"Q4_K": remembered.Remembered("b", 1)})

    assert cache.read_bytes() == before
    assert [file.name for file in cache.parent.iterdir()] == [cache.name]


def test_old_processors_leave_the_file(cache: Path) -> None:
    for i in range(remembered.MOST_PROCESSORS + 5):
        remembered.remember(f"k{i}", {"Q4_K": remembered.Remembered("a", 1)})

    kept = json.loads(cache.read_text())
    assert len(kept) == remembered.MOST_PROCESSORS
    assert "k4" not in kept
    assert "k5" in kept
