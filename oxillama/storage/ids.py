"""Ids of stored objects: how they are generated, and the check before one becomes part of a path."""

from __future__ import annotations

import re
import secrets
import string

_ALPHABET = string.digits + string.ascii_letters
_LENGTH = 24  # 62 ** 24: 142 bits
_PATTERN = re.compile(r"[a-z]+[_-][0-9a-zA-Z]{16,64}")


def new_id(prefix: str, *, separator: str = "_", length: int = _LENGTH) -> str:
    """An unguessable id such as `thread_4fX…`: the prefix, the separator and random letters and digits."""
    return prefix + separator + "".join(secrets.choice(_ALPHABET) for _ in range(length))


def is_id(text: str, prefix: str | None = None) -> bool:
    """Whether `text` is a valid id (with this prefix). Only valid ids may become part of a path."""
    if _PATTERN.fullmatch(text) is None:
        return False
    return prefix is None or text.startswith((f"{prefix}_", f"{prefix}-"))
