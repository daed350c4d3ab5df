"""The input history of chats: a file in the user's state folder (XDG base directories) that only the user can read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from oxillama.errors import describe
from oxillama.user_files import user_dir

if TYPE_CHECKING:
    from prompt_toolkit.history import History

    from oxillama.cli.chat.screen import Screen

MOST_BYTES = 2**20


def state_dir() -> Path:
    """The user's folder for state that programs keep between runs. Raises OSError if the user has no home folder."""
    return user_dir("XDG_STATE_HOME", ".local/state")


def open_history(screen: Screen) -> History:
    """The history on disk. If that fails, a history in memory for this chat, and a notice on the screen."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    try:
        return FileHistory(history_file())
    except OSError as error:
        screen.notice(f"the input history is not saved: {describe(error)}")
        return InMemoryHistory()


def history_file() -> Path:
    """The path of the history file.

    Creates the file if it is missing, sets its permissions, and removes the older half if it is longer than MOST_BYTES.
    Raises OSError.
    """
    folder = state_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "chat_history"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(fd, 0o600)
        size = os.fstat(fd).st_size
        if size > MOST_BYTES:
            kept = _newer_half(os.pread(fd, size, 0))
            os.ftruncate(fd, 0)
            os.pwrite(fd, kept, 0)
    finally:
        os.close(fd)
    return path


def _newer_half(data: bytes) -> bytes:
    """The newer entries. In prompt-toolkit's format, each entry begins with an empty line and a comment."""
    begin = data.find(b"\n# ", len(data) // 2)
    return data[begin:] if begin >= 0 else b""
