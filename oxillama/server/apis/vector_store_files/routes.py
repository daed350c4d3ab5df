"""/v1/vector_stores/{vector_store}/files: attach, list, fetch, modify, detach, and the text that was read."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from oxillama.server.apis.vector_store_files.answer import FileContentPage, VectorStoreFileObject
from oxillama.server.apis.vector_store_files.request import AddedFile, ModifyFile, read_filter
from oxillama.server.apis.vector_stores.answer import PassageText
from oxillama.server.operation import API
from oxillama.server.state import server_state
from oxillama.server.wire.answer import Deleted
from oxillama.server.wire.json import json_response
from oxillama.server.wire.pagination import Page, read_page

if TYPE_CHECKING:
    from quart import Response

    from oxillama.vector_stores.records import VectorStoreFile

api = API("vector_store_files", prefix="/v1/vector_stores/<vector_store_id>/files", order=33)

POLL_AFTER_MS = "200"


@api.post("", body=AddedFile, answer=VectorStoreFileObject, example={"file_id": "file-abc123"})
async def create_vector_store_file(wire: AddedFile, vector_store_id: str) -> VectorStoreFileObject:
    """The file is read in the background: poll until its status is no longer `in_progress`."""
    stores = server_state().require_vector_stores()
    (file,) = await stores.add(vector_store_id, [wire.record(stores.records.now())])
    return VectorStoreFileObject.of(file)


@api.get("", answer=Page[VectorStoreFileObject], query={"filter": "Only files with this status."})
async def list_vector_store_files(vector_store_id: str) -> Page[VectorStoreFileObject]:
    stores = server_state().require_vector_stores()
    cut = partial(stores.records.file_page, vector_store_id)
    return await read_page(stores.in_thread, cut, VectorStoreFileObject.of, tag=read_filter())


@api.get("/<file_id>", answer=VectorStoreFileObject)
async def get_vector_store_file(vector_store_id: str, file_id: str) -> Response:
    stores = server_state().require_vector_stores()
    file = await stores.in_thread(stores.records.file, vector_store_id, file_id)
    return json_response(VectorStoreFileObject.of(file), headers={"openai-poll-after-ms": POLL_AFTER_MS})


@api.post(
    "/<file_id>", body=ModifyFile, answer=VectorStoreFileObject, example={"attributes": {"year": 2024, "draft": False}}
)
async def modify_vector_store_file(wire: ModifyFile, vector_store_id: str, file_id: str) -> VectorStoreFileObject:
    """The attributes replace all that there were."""
    stores = server_state().require_vector_stores()

    def change() -> VectorStoreFile:
        return stores.records.change(vector_store_id, file_id, attributes=wire.attributes or {})

    return VectorStoreFileObject.of(await stores.in_thread(change))


@api.delete("/<file_id>", answer=Deleted)
async def delete_vector_store_file(vector_store_id: str, file_id: str) -> Deleted:
    """The file itself stays."""
    await server_state().require_vector_stores().remove(vector_store_id, file_id)
    return Deleted(id=file_id, object="vector_store.file.deleted")


@api.get("/<file_id>/content", answer=FileContentPage)
async def get_vector_store_file_content(vector_store_id: str, file_id: str) -> FileContentPage:
    """The text that was read from the file; empty while it is in progress."""
    text = await server_state().require_vector_stores().text(vector_store_id, file_id)
    return FileContentPage(data=[PassageText(text=text)] if text else [])
