"""/v1/files: what a form or a request says about a file."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec

from oxillama.server.wire.errors import bad_request
from oxillama.server.wire.invalid import invalid_type, invalid_value, missing_parameter, out_of_range

Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
LEAST_LIFETIME, MOST_LIFETIME = 3600, 2_592_000  # seconds
BATCH_LIFETIME = 2_592_000
MAX_NAME = 4096

Lifetime = Annotated[int, msgspec.Meta(ge=LEAST_LIFETIME, le=MOST_LIFETIME)]


class ExpiresAfter(msgspec.Struct, kw_only=True):
    """When a file expires: so many seconds after it was created."""

    anchor: Literal["created_at"]
    seconds: Lifetime


def lifetime(fields: dict[str, str], purpose: str) -> int | None:
    """The seconds after which the file of a form expires; None: never. Raises APIError 400."""
    anchor, text = fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]")
    if anchor is None and text is None:
        return BATCH_LIFETIME if purpose == "batch" else None
    if anchor is None:
        raise missing_parameter("expires_after.anchor")
    if anchor != "created_at":
        raise invalid_value("expires_after.anchor", anchor, ["created_at"])
    if text is None:
        raise missing_parameter("expires_after.seconds")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise invalid_type("expires_after.seconds", ["int"], "str")
    seconds = int(text)
    if seconds < LEAST_LIFETIME:
        raise out_of_range("expires_after.seconds", "int", ">=", str(LEAST_LIFETIME), seconds)
    if seconds > MOST_LIFETIME:
        raise out_of_range("expires_after.seconds", "int", "<=", str(MOST_LIFETIME), seconds)
    return seconds


def purpose_of(fields: dict[str, str]) -> str:
    """The purpose that a form names. Raises APIError 400."""
    purpose = fields.get("purpose")
    if purpose is None:
        raise missing_parameter("purpose")
    if purpose not in get_args(Purpose):
        raise invalid_value("purpose", purpose, list(get_args(Purpose)))
    return purpose


def name_of(filename: str) -> str:
    """The file's name as it is stored, without a path. Raises APIError 400."""
    name = filename.replace("\\", "/").rpartition("/")[2].replace("\0", "")
    if len(name) > MAX_NAME:
        raise bad_request(f"The file's name is longer than {MAX_NAME} characters.", param="file")
    return name or "file"
