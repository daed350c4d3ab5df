"""/v1/uploads: create, add a part, complete, cancel."""

from __future__ import annotations

from functools import partial

from oxillama.files.records import Upload, UploadPart
from oxillama.files.uploads import UPLOAD_LIFETIME_S
from oxillama.server.apis.files.request import BATCH_LIFETIME, name_of
from oxillama.server.apis.uploads.answer import UploadObject, UploadPartObject
from oxillama.server.apis.uploads.request import CompleteUpload, CreateUpload
from oxillama.server.http.received import received_file
from oxillama.server.operation import API
from oxillama.server.state import server_state
from oxillama.server.wire.invalid import out_of_range
from oxillama.storage.ids import new_id

api = API("uploads", prefix="/v1/uploads", order=31)

MAX_PART = 64 * 2**20


@api.post(
    "",
    body=CreateUpload,
    answer=UploadObject,
    example={"filename": "notes.txt", "bytes": 5, "mime_type": "text/plain", "purpose": "assistants"},
)
async def create_upload(wire: CreateUpload) -> UploadObject:
    """Begin a file that arrives in parts, within an hour."""
    state = server_state()
    files, in_thread = state.require_files()
    if wire.bytes > state.config.max_file:
        raise out_of_range("bytes", "int", "<=", str(state.config.max_file), wire.bytes)
    now = files.files.now()
    after = wire.expires_after.seconds if wire.expires_after is not None else None
    upload = Upload(
        id=new_id("upload"),
        created_at=now,
        filename=name_of(wire.filename),
        purpose=wire.purpose,
        bytes=wire.bytes,
        mime_type=wire.mime_type,
        expires_at=now + UPLOAD_LIFETIME_S,
        file_expires_after=BATCH_LIFETIME if after is None and wire.purpose == "batch" else after,
    )
    return UploadObject.of(await in_thread(files.uploads.create, upload))


@api.post("/<upload_id>/parts", answer=UploadPartObject, upload=True)
async def add_upload_part(upload_id: str) -> UploadPartObject:
    """Add the bytes in the field `data` of a form, at most 64 MiB."""
    files, in_thread = server_state().require_files()
    uploads, part_id = files.uploads, new_id("part")
    begin, discard = partial(uploads.begin_part, upload_id, part_id), partial(uploads.discard_part, upload_id, part_id)
    await in_thread(uploads.get, upload_id)
    async with received_file("data", MAX_PART, in_thread, begin, discard) as received:
        part = UploadPart(
            id=part_id, created_at=files.files.now(), upload_id=upload_id, bytes=received.content.size
        )
        return UploadPartObject.of(await in_thread(uploads.finish_part, part, received.content))


@api.post("/<upload_id>/complete", body=CompleteUpload, answer=UploadObject, example={"part_ids": ["part_abc"]})
async def complete_upload(wire: CompleteUpload, upload_id: str) -> UploadObject:
    """Make the file. Its size must be the announced one."""
    files, in_thread = server_state().require_files()
    upload, file = await in_thread(files.uploads.complete, upload_id, wire.part_ids, wire.md5)
    return UploadObject.of(upload, file)


@api.post("/<upload_id>/cancel", answer=UploadObject)
async def cancel_upload(upload_id: str) -> UploadObject:
    files, in_thread = server_state().require_files()
    return UploadObject.of(await in_thread(files.uploads.cancel, upload_id))
