"""/v1/vector_stores/{vector_store}/file_batches: create, fetch, cancel, list the files of one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from oxillama.server.apis.vector_store_file_batches.answer import FileBatchObject
from oxillama.server.apis.vector_store_file_batches.request import CreateFileBatch
from oxillama.server.apis.vector_store_files.answer import VectorStoreFileObject
from oxillama.server.apis.vector_store_files.request import read_filter
from oxillama.server.apis.vector_store_files.routes import POLL_AFTER_MS
from oxillama.server.operation import API
from oxillama.server.state import server_state
from oxillama.server.wire.json import json_response
from oxillama.server.wire.pagination import Page, read_page
from oxillama.storage.ids import new_id
from oxillama.vector_stores.records import FileBatch

if TYPE_CHECKING:
    from quart import Response

api = API("vector_store_file_batches", prefix="/v1/vector_stores/<vector_store_id>/file_batches", order=34)


@api.post("", body=CreateFileBatch, answer=FileBatchObject, example={"file_ids": ["file-abc123", "file-def456"]})
async def create_file_batch(wire: CreateFileBatch, vector_store_id: str) -> FileBatchObject:
    """The files are read in the background: poll until `file_counts.in_progress` is 0."""
    stores = server_state().require_vector_stores()
    now, batch_id = stores.records.now(), new_id("vsfb")
    files = wire.records(now, batch_id)
    batch = FileBatch(
        id=batch_id, created_at=now, vector_store_id=vector_store_id, file_ids=[file.id for file in files]
    )
    await stores.add(vector_store_id, files, batch)
    return await stores.in_thread(FileBatchObject.of, batch, stores.records)


@api.get("/<batch_id>", answer=FileBatchObject)
async def get_file_batch(vector_store_id: str, batch_id: str) -> Response:
    stores = server_state().require_vector_stores()

    def read() -> FileBatchObject:
        return FileBatchObject.of(stores.records.batch(vector_store_id, batch_id), stores.records)

    return json_response(await stores.in_thread(read), headers={"openai-poll-after-ms": POLL_AFTER_MS})


@api.post("/<batch_id>/cancel", answer=FileBatchObject)
async def cancel_file_batch(vector_store_id: str, batch_id: str) -> FileBatchObject:
    """Files that are still in progress are not read."""
    stores = server_state().require_vector_stores()

    def cancel() -> FileBatchObject:
        return FileBatchObject.of(stores.records.cancel(vector_store_id, batch_id), stores.records)

    return await stores.in_thread(cancel)


@api.get("/<batch_id>/files", answer=Page[VectorStoreFileObject], query={"filter": "Only files with this status."})
async def list_file_batch_files(vector_store_id: str, batch_id: str) -> Page[VectorStoreFileObject]:
    stores = server_state().require_vector_stores()
    cut = partial(stores.records.batch_page, vector_store_id, batch_id)
    return await read_page(stores.in_thread, cut, VectorStoreFileObject.of, tag=read_filter())
