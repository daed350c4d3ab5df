"""/v1/threads/{thread}/messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint, request

from oxillama.server.assistant_lists import paged
from oxillama.server.assistant_runs import new_message
from oxillama.server.bodies import read_body
from oxillama.server.pagination import read_list_query
from oxillama.server.responses import json_response
from oxillama.server.state import server_state
from oxillama.server.wire.assistants import CreateMessage, ModifyMetadata

if TYPE_CHECKING:
    from quart import Response

    from oxillama.assistants.types import ThreadMessage

blueprint = Blueprint("messages", __name__, url_prefix="/v1/threads/<thread_id>/messages")


@blueprint.post("")
async def create_message(thread_id: str) -> Response:
    """Refused while a run is active on the thread."""
    desk = server_state().require_assistants()
    message = new_message(await read_body(CreateMessage), desk.store.now())
    return json_response((await desk.in_thread(desk.store.append_message, thread_id, message)).to_wire())


@blueprint.get("")
async def list_messages(thread_id: str) -> Response:
    """Newest first unless asked otherwise; `run_id` leaves what one run wrote."""
    desk = server_state().require_assistants()
    run_id = request.args.get("run_id") or None

    def messages() -> list[ThreadMessage]:
        found = desk.store.list_messages(thread_id)
        return found if run_id is None else [message for message in found if message.run_id == run_id]

    return await paged(desk.in_thread, messages, read_list_query())


@blueprint.get("/<message_id>")
async def get_message(thread_id: str, message_id: str) -> Response:
    desk = server_state().require_assistants()
    return json_response((await desk.in_thread(desk.store.get_message, thread_id, message_id)).to_wire())


@blueprint.post("/<message_id>")
async def modify_message(thread_id: str, message_id: str) -> Response:
    """Only the metadata can change."""
    desk = server_state().require_assistants()
    metadata = (await read_body(ModifyMetadata)).metadata
    if metadata is None:
        return await get_message(thread_id, message_id)
    changed = await desk.in_thread(lambda: desk.store.update_message(thread_id, message_id, metadata=metadata))
    return json_response(changed.to_wire())


@blueprint.delete("/<message_id>")
async def delete_message(thread_id: str, message_id: str) -> Response:
    desk = server_state().require_assistants()
    await desk.in_thread(desk.store.delete_message, thread_id, message_id)
    return json_response({"id": message_id, "object": "thread.message.deleted", "deleted": True})
