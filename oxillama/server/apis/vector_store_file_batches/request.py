"""/v1/vector_stores/{vector_store}/file_batches: the request."""

from __future__ import annotations

from typing import Annotated

import msgspec

from oxillama.server.apis.vector_store_files.request import AddedFile, AttributeMap
from oxillama.server.apis.vector_stores.request import FileId
from oxillama.server.wire.errors import bad_request
from oxillama.server.wire.invalid import missing_parameter
from oxillama.server.wire.tools import ChunkingStrategy
from oxillama.vector_stores.records import VectorStoreFile

MOST_FILES = 2000


class CreateFileBatch(msgspec.Struct, kw_only=True):
    """Either file_ids, with attributes and chunking_strategy for all of them, or files, each with its own."""

    file_ids: Annotated[list[FileId], msgspec.Meta(min_length=1, max_length=MOST_FILES)] | None = None
    files: Annotated[list[AddedFile], msgspec.Meta(min_length=1, max_length=MOST_FILES)] | None = None
    attributes: AttributeMap | None = None
    chunking_strategy: ChunkingStrategy | None = None

    def records(self, now: int, batch_id: str) -> list[VectorStoreFile]:
        """The files to store. Raises APIError 400."""
        if self.file_ids is not None and self.files is not None:
            raise bad_request("Give 'file_ids' or 'files', not both.", param="files", code="invalid_value")
        if self.files is not None:
            return [file.record(now, f"files[{at}].chunking_strategy", batch_id) for at, file in enumerate(self.files)]
        if self.file_ids is None:
            raise missing_parameter("file_ids")
        return [
            AddedFile(file_id=file_id, attributes=self.attributes, chunking_strategy=self.chunking_strategy).record(
                now, batch_id=batch_id
            )
            for file_id in self.file_ids
        ]
