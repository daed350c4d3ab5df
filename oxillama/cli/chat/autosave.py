"""Saves conversations automatically in the user's state folder, so that none is lost when its terminal closes."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from oxillama.cli.chat import saved
from oxillama.cli.chat.history import state_dir
from oxillama.cli.chat.session import Session
from oxillama.errors import OxillamaError, describe

MOST_KEPT = 20


def folder() -> Path:
    """The folder of saved conversations. Raises OSError if the user has no home folder."""
    return state_dir() / "chats"


class Autosave:
    """Saves one conversation to its own file, starting with its first answer."""

    def __init__(self) -> None:
        self.path: Path | None = None

    def begin(self) -> None:
        """Start another conversation: the next `keep` writes a new file."""
        self.path = None

    def keep(self, session: Session, model: str) -> str | None:
        """Save the conversation and delete the oldest beyond MOST_KEPT. Returns None, or why that failed."""
        try:
            place = folder()
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path is None:
                self.path = place / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{os.getpid()}.json"
            saved.save(self.path, session, model)
            for old in _newest_first(place)[MOST_KEPT:]:
                old.unlink(missing_ok=True)
        except (OSError, OxillamaError) as error:
            return describe(error)
        return None


def latest(other_than: Path | None = None) -> Path:
    """The most recently saved conversation. Raises OxillamaError if there is none, and OSError."""
    place = folder()
    found = [path for path in _newest_first(place) if path != other_than]
    if not found:
        raise OxillamaError(f"no earlier conversation is saved in {place}")
    return found[0]


def _newest_first(place: Path) -> list[Path]:
    """The saved conversations in the folder, the last written first. Other files are ignored."""
    times: dict[Path, int] = {}
    for path in place.glob("*.json") if place.is_dir() else ():
        try:
            times[path] = path.stat().st_mtime_ns
        except FileNotFoundError:  # another chat has deleted it
            continue
    return sorted(times, key=lambda path: (times[path], path.name), reverse=True)
