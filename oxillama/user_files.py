"""The user's directories (XDG base directories), and files that are replaced as a whole."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


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


def replace_file(path: Path, data: bytes) -> None:
    """Write a file that is the old one or the new one, whatever happens; readable only by its owner. Raises OSError."""
    with replaced_file(path) as stream:
        stream.write(data)


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[BinaryIO]:
    """`replace_file` for what the block writes. If it raises, the old file stays."""
    fd, temporary = tempfile.mkstemp(prefix=f".{path.name[:60]}.", dir=path.parent)
    try:
        with open(fd, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
