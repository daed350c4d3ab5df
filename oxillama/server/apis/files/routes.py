"""/v1/files: upload, list, fetch, download, delete."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from quart import Response, request

from oxillama.errors import ObjectNotFoundError
from oxillama.files.records import StoredFile
from oxillama.server.apis.files.answer import FileObject
from oxillama.server.apis.files.request import lifetime, name_of, purpose_of
from oxillama.server.http.received import received_file
from oxillama.server.operation import API
from oxillama.server.state import server_state
from oxillama.server.wire.answer import Deleted
from oxillama.server.wire.errors import not_found
from oxillama.server.wire.pagination import Page, read_page
from oxillama.storage.ids import new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

T = TypeVar("T")

api = API("files", prefix="/v1/files", order=30)

MOST_LISTED = 10_000


@api.post("", answer=FileObject, upload=True)
async def create_file() -> FileObject:
    """Store the file of a form (`multipart/form-data`) with the fields `file` and `purpose`.

    `expires_after[anchor]` (`created_at`) and `expires_after[seconds]` let it expire.
    """
    state = server_state()
    files, in_thread = state.require_files()
    store, file_id = files.files, new_id("file", separator="-")
    discard = partial(store.discard, file_id)
    async with received_file(
        "file", state.config.max_file, in_thread, partial(store.begin, file_id), discard
    ) as received:
        purpose = purpose_of(received.fields)
        after, now = lifetime(received.fields, purpose), store.now()
        file = StoredFile(
            id=file_id,
            created_at=now,
            filename=name_of(received.filename),
            purpose=purpose,
            bytes=received.content.size,
            expires_at=None if after is None else now + after,
        )
        return FileObject.of(await in_thread(store.finish, file, received.content))


@api.get("", answer=Page[FileObject], query={"purpose": "Only files of this purpose."})
async def list_files() -> Page[FileObject]:
    """Newest first; up to 10,000 at once."""
    files, in_thread = server_state().require_files()
    purpose = request.args.get("purpose") or None
    return await read_page(
        in_thread, files.files.page, FileObject.of, tag=purpose, default_limit=MOST_LISTED, max_limit=MOST_LISTED
    )


@api.get("/<file_id>", answer=FileObject)
async def get_file(file_id: str) -> FileObject:
    files, in_thread = server_state().require_files()
    return FileObject.of(await in_thread(_known, partial(files.files.get, file_id), file_id))


@api.delete("/<file_id>", answer=Deleted)
async def delete_file(file_id: str) -> Deleted:
    """The file leaves every vector store too."""
    files, in_thread = server_state().require_files()
    await in_thread(_known, partial(files.files.delete, file_id), file_id)
    await server_state().require_vector_stores().forget_file(file_id)
    return Deleted(id=file_id, object="file")


@api.get("/<file_id>/content")
async def get_file_content(file_id: str) -> Response:
    """The bytes of the file."""
    files, in_thread = server_state().require_files()
    file = await in_thread(_known, partial(files.files.get, file_id), file_id)
    parts = files.files.parts(file_id)

    async def content() -> AsyncIterator[bytes]:
        try:
            while (data := await in_thread(next, parts, None)) is not None:
                yield data
        finally:
            parts.close()

    response = Response(content(), content_type="application/octet-stream")
    response.timeout = None  # Quart would cut off a slow download after a minute
    response.headers["Content-Length"] = str(file.bytes)
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file.filename)}"
    return response


def _known(work: Callable[[], T], file_id: str) -> T:
    """The result of `work`. Raises the 404 that clients of files match on."""
    try:
        return work()
    except ObjectNotFoundError:
        raise not_found(f"No such File object: {file_id[:200]}", param="id") from None
