"""/v1/vector_stores/{vector_store}/files: the requests."""

from __future__ import annotations

from typing import Annotated, get_args

import msgspec
from quart import request

from oxillama.server.apis.vector_stores.request import FileId
from oxillama.server.wire.fields import MetadataKey, MetadataValue
from oxillama.server.wire.invalid import invalid_value
from oxillama.server.wire.tools import ChunkingStrategy, chunking_of
from oxillama.vector_stores.records import FileStatus, VectorStoreFile

AttributeMap = Annotated[dict[MetadataKey, MetadataValue | int | float | bool], msgspec.Meta(max_length=16)]


class AddedFile(msgspec.Struct, kw_only=True):
    """A file to read. attributes: what searches can filter by."""

    file_id: FileId
    attributes: AttributeMap | None = None
    chunking_strategy: ChunkingStrategy | None = None

    def record(self, now: int, param: str = "chunking_strategy", batch_id: str | None = None) -> VectorStoreFile:
        """The file to store. param: where chunking_strategy is in the request. Raises APIError 400."""
        return VectorStoreFile(
            id=self.file_id,
            created_at=now,
            attributes=self.attributes or {},
            chunking=chunking_of(self.chunking_strategy, param),
            batch_id=batch_id,
        )


class ModifyFile(msgspec.Struct, kw_only=True):
    """The attributes, which replace all that there were; null leaves none."""

    attributes: AttributeMap | None


def read_filter() -> FileStatus | None:
    """The status in the query that files must have; None: any. Raises APIError 400."""
    wanted = request.args.get("filter") or None
    for status in get_args(FileStatus):
        if wanted == status:
            found: FileStatus = status
            return found
    if wanted is not None:
        raise invalid_value("filter", wanted, list(get_args(FileStatus)))
    return None
