"""The user's directories (XDG base directories)."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def user_dir(variable: str, otherwise: str) -> Path:
    """oxillama's folder in the directory that `variable` names if that is absolute, else in `otherwise` below the home.

    Raises OSError if the user has no home directory: neither $HOME, which must be absolute, nor an entry in the user
    database.
    """
    base = os.environ.get(variable, "")
    if os.path.isabs(base):
        return Path(base) / "oxillama"
    home = os.path.expanduser("~")
    if not os.path.isabs(home) or os.environ.get("HOME") == "":
        raise OSError(errno.ENOENT, f"this user has no home directory: set HOME or {variable}")
    return Path(home) / otherwise / "oxillama"
