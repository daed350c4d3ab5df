"""/v1/threads/{thread}/messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint, request

from oxillama.assistants.records.types import ThreadMessage
from oxillama.server.apis.assistants.request import CreateMessage, ModifyMetadata
from oxillama.server.apis.records import deleted, paged, stored
from oxillama.server.apis.runs.create import new_message
from oxillama.server.operation import describes
from oxillama.server.state import server_state
from oxillama.server.wire.answers import Deleted
from oxillama.server.wire.bodies import read_body

if TYPE_CHECKING:
    from quart import Response
blueprint = Blueprint("messages", __name__, url_prefix="/v1/threads/<thread_id>/messages")


@blueprint.post("")
@describes(body=CreateMessage, answer=ThreadMessage)
async def create_message(thread_id: str) -> Response:
    """Refused while a run is active on the thread."""
    desk = server_state().require_assistants()
    message = new_message(await read_body(CreateMessage), desk.store.now())
    return await stored(desk.in_thread, desk.store.append_message, thread_id, message)


@blueprint.get("")
@describes(answer=list[ThreadMessage], query={"run_id": "Only what this run wrote."})
async def list_messages(thread_id: str) -> Response:
    """Newest first unless asked otherwise; `run_id` leaves what one run wrote."""
    desk = server_state().require_assistants()
    run_id = request.args.get("run_id") or None

    def messages() -> list[ThreadMessage]:
        found = desk.store.list_messages(thread_id)
        return found if run_id is None else [message for message in found if message.run_id == run_id]

    return await paged(desk.in_thread, messages)


@blueprint.get("/<message_id>")
@describes(answer=ThreadMessage)
async def get_message(thread_id: str, message_id: str) -> Response:
    desk = server_state().require_assistants()
    return await stored(desk.in_thread, desk.store.get_message, thread_id, message_id)


@blueprint.post("/<message_id>")
@describes(body=ModifyMetadata, answer=ThreadMessage)
async def modify_message(thread_id: str, message_id: str) -> Response:
    """Only the metadata can change."""
    desk = server_state().require_assistants()
    changes = (await read_body(ModifyMetadata)).changes()
    return await stored(desk.in_thread, desk.store.update_message, thread_id, message_id, **changes)


@blueprint.delete("/<message_id>")
@describes(answer=Deleted)
async def delete_message(thread_id: str, message_id: str) -> Response:
    desk = server_state().require_assistants()
    await desk.in_thread(desk.store.delete_message, thread_id, message_id)
    return deleted(message_id, "thread.message")
