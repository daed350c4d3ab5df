"""Saves and loads conversations as indented JSON. Files are replaced atomically.

{"format": "oxillama chat", "version": 1, "model": "…", "system": "…",
 "settings": {"temperature": null, …}, "messages": [{"role": "user", "content": "…"}, …]}
"""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec

from oxillama.cli.chat.session import Message, Session, Settings
from oxillama.cli.shared.guard import naming
from oxillama.errors import OxillamaError
from oxillama.user_files import replace_file

FORMAT = "oxillama chat"
VERSION = 1
MOST_BYTES = 256 * 2**20


class _Header(msgspec.Struct):
    format: str
    version: int


class _Saved(msgspec.Struct):
    format: str
    version: int
    model: str
    system: str
    settings: Settings
    messages: list[Message]


def save(path: Path, session: Session, model: str) -> None:
    """Write the conversation to `path`, readable only by its owner.

    Replaces a saved conversation, but no other file. Raises OSError and OxillamaError.
    """
    if path.exists():
        _header(path, _read(path))  # a mistyped name must not overwrite another file
    saved = _Saved(FORMAT, VERSION, model, session.system, session.settings, session.messages)
    data = msgspec.json.format(msgspec.json.encode(_encodable(saved)), indent=2) + b"\n"
    with naming(path):
        replace_file(path, data)


def load(path: Path) -> Session:
    """The conversation in a file. Raises OSError and OxillamaError, which names the file and the problem."""
    data = _read(path)
    _header(path, data)
    try:
        saved = msgspec.json.decode(data, type=_Saved)
        saved.settings.sampling()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OxillamaError) as error:
        raise OxillamaError(f"{path}: damaged conversation: {error}") from None
    return Session(saved.system, saved.settings, saved.messages)


def _read(path: Path) -> bytes:
    status = path.stat()
    has_end = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)  # a device or a pipe may have none
    if not has_end or status.st_size > MOST_BYTES:
        raise OxillamaError(f"{path}: not a saved conversation")
    return path.read_bytes()


def _header(path: Path, data: bytes) -> None:
    """Raise OxillamaError unless this version of the program can read the file."""
    try:
        header = msgspec.json.decode(data, type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise OxillamaError(f"{path}: not a saved conversation") from None
    if header.format != FORMAT:
        raise OxillamaError(f"{path}: not a saved conversation")
    if header.version != VERSION:
        raise OxillamaError(f"{path}: has version {header.version}; this program reads version {VERSION}")


def _encodable(saved: _Saved) -> _Saved:
    """The conversation without lone surrogates, which arguments may contain but JSON cannot."""
    clean = [Message(m.role, _whole(m.content), _whole(m.reasoning)) for m in saved.messages]
    return msgspec.structs.replace(saved, model=_whole(saved.model), system=_whole(saved.system), messages=clean)


def _whole(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
