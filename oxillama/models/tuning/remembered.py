"""The choices of earlier loads: a small JSON file in the user's cache directory.

A processor's choices are found by a text that names everything they depend on. A file that is broken or cannot be read
or written counts as absent: choices are then measured again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oxillama._version import __version__
from oxillama.user_files import replace_file, user_dir

MOST_BYTES = 2**20
LAYOUT = 2  # raised when packed weights lie in another order, which may change what is fastest
MOST_PROCESSORS = 100  # in the file; the oldest leave it


@dataclass(frozen=True, slots=True)
class Remembered:
    """seen: how many loads came to this choice, one after the other."""

    reading: str
    seen: int


def cache_file() -> Path:
    """Raises OSError if the user has no home directory."""
    return user_dir("XDG_CACHE_HOME", ".cache") / "tuning.json"


def key_of(processor: str, isa: str, n_threads: int, readings: list[str]) -> str:
    """The text under which choices are kept."""
    return f"{processor}, {isa}, {n_threads} threads, oxillama {__version__}, layout {LAYOUT}, {' '.join(readings)}"


def recall(key: str, readings: list[str]) -> dict[str, Remembered]:
    """Weight format and tokens → what is remembered under `key`, as far as it names one of `readings`."""
    found: dict[str, Remembered] = {}
    entries = _read().get(key)
    if not isinstance(entries, dict):
        return found
    for name, entry in entries.items():
        match entry:
            case {"reading": str(reading), "seen": int(seen)} if reading in readings:
                found[name] = Remembered(reading, seen)
    return found


def remember(key: str, choices: Mapping[str, Remembered]) -> None:
    """Replace what the file says about these under `key`."""
    with suppress(OSError):
        path = cache_file()
        everything = _read()
        before = everything.pop(key, None)
        entries = {name: {"reading": c.reading, "seen": c.seen} for name, c in choices.items()}
        everything[key] = {**(before if isinstance(before, dict) else {}), **entries}
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = dict(list(everything.items())[-MOST_PROCESSORS:])
        replace_file(path, json.dumps(kept, indent=1).encode())


def _read() -> dict[str, Any]:
    """The file's content; empty if there is none that can be used."""
    with suppress(OSError, ValueError, RecursionError), open(cache_file(), encoding="utf-8") as file:
        content = json.loads(file.read(MOST_BYTES))
        if isinstance(content, dict):
            return content
    return {}
