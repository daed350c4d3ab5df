"""/v1/threads/{thread}/messages."""

from __future__ import annotations

from functools import partial

from quart import request

from oxillama.server.apis.messages.answer import MessageObject
from oxillama.server.apis.messages.attachments import attach
from oxillama.server.apis.messages.request import CreateMessage
from oxillama.server.operation import API
from oxillama.server.state import server_state
from oxillama.server.wire.answer import Deleted
from oxillama.server.wire.fields import ModifyMetadata, given
from oxillama.server.wire.pagination import Page, read_page

api = API("messages", prefix="/v1/threads/<thread_id>/messages", order=60)


@api.post("", body=CreateMessage, answer=MessageObject, example={"role": "user", "content": "And lakes?"})
async def create_message(wire: CreateMessage, thread_id: str) -> MessageObject:
    """Refused while a run is active on the thread."""
    assistants = server_state().require_assistants()
    await attach(thread_id, [wire])
    message = wire.record(assistants.store.now())
    return MessageObject.of(await assistants.add_message(thread_id, message))


@api.get("", answer=Page[MessageObject], query={"run_id": "Only what this run wrote."})
async def list_messages(thread_id: str) -> Page[MessageObject]:
    """Newest first unless asked otherwise; `run_id` leaves what one run wrote."""
    assistants = server_state().require_assistants()
    run_id = request.args.get("run_id") or None
    cut = partial(assistants.store.messages.page, thread_id)
    return await read_page(assistants.in_thread, cut, MessageObject.of, tag=run_id)


@api.get("/<message_id>", answer=MessageObject)
async def get_message(thread_id: str, message_id: str) -> MessageObject:
    assistants = server_state().require_assistants()
    return MessageObject.of(await assistants.in_thread(assistants.store.messages.get, thread_id, message_id))


@api.post("/<message_id>", body=ModifyMetadata, answer=MessageObject, example={"metadata": {"topic": "lakes"}})
async def modify_message(wire: ModifyMetadata, thread_id: str, message_id: str) -> MessageObject:
    """Only the metadata can change."""
    assistants = server_state().require_assistants()
    update = partial(assistants.store.messages.update, thread_id, message_id, **given(wire))
    return MessageObject.of(await assistants.in_thread(update))


@api.delete("/<message_id>", answer=Deleted)
async def delete_message(thread_id: str, message_id: str) -> Deleted:
    assistants = server_state().require_assistants()
    await assistants.in_thread(assistants.store.messages.delete, thread_id, message_id)
    return Deleted(id=message_id, object="thread.message.deleted")
