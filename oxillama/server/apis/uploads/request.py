"""/v1/uploads: the requests."""

from __future__ import annotations

from typing import Annotated

import msgspec

from oxillama.files.uploads import MAX_PARTS
from oxillama.server.apis.files.request import MAX_NAME, ExpiresAfter, Purpose
from oxillama.server.wire.fields import END

MAX_BYTES = 8 * 2**30


class CreateUpload(msgspec.Struct, kw_only=True):
    """A file that will arrive in parts. bytes: its size."""

    filename: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
    bytes: Annotated[int, msgspec.Meta(ge=0, le=MAX_BYTES)]
    mime_type: Annotated[str, msgspec.Meta(max_length=256)]
    purpose: Purpose
    expires_after: ExpiresAfter | None = None


class CompleteUpload(msgspec.Struct, kw_only=True):
    """The parts in the order in which they make the file. md5: its checksum in hexadecimal digits."""

    part_ids: Annotated[list[str], msgspec.Meta(max_length=MAX_PARTS)]
    md5: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{32}" + END)] | None = None
