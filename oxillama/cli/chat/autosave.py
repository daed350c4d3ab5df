"""Conversations kept unasked, so that none is lost with its terminal: the latest few, in the user's state folder."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from oxillama.cli.chat import saved
from oxillama.cli.chat.history import state_dir
from oxillama.cli.chat.session import Session
from oxillama.cli.shared.guard import describe
from oxillama.errors import OxillamaError

MOST_KEPT = 20


def folder() -> Path:
    """Where they are kept. Raises OSError when there is no such place."""
    return state_dir() / "chats"


class Autosave:
    """Keeps one conversation in a file of its own, from its first answer on."""

    def __init__(self) -> None:
        self.path: Path | None = None

    def begin(self) -> None:
        """What is kept from now on is another conversation."""
        self.path = None

    def keep(self, session: Session, model: str) -> str | None:
        """Keep the conversation as it is now, and drop the oldest of the others. None, or why that was not possible."""
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
    """The conversation that was kept last. Raises OxillamaError when there is none, and OSError."""
    place = folder()
    found = [path for path in _newest_first(place) if path != other_than]
    if not found:
        raise OxillamaError(f"no earlier conversation is kept in {place}")
    return found[0]


def _newest_first(place: Path) -> list[Path]:
    """The conversations in the folder, by when they were last written; other files are none of ours."""
    times: dict[Path, int] = {}
    for path in place.glob("*.json") if place.is_dir() else ():
        try:
            times[path] = path.stat().st_mtime_ns
        except FileNotFoundError:  # another chat has dropped it
            continue
    return sorted(times, key=lambda path: (times[path], path.name), reverse=True)
