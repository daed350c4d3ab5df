"""/v1/assistants: create, list, fetch, modify, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint

from oxillama.assistants.records.types import Assistant
from oxillama.server.apis.assistants.request import CreateAssistant, ModifyAssistant
from oxillama.server.apis.records import deleted, paged, stored
from oxillama.server.operation import describes
from oxillama.server.state import server_state
from oxillama.server.wire.answers import Deleted
from oxillama.server.wire.bodies import read_body
from oxillama.storage.ids import new_id

if TYPE_CHECKING:
    from quart import Response

blueprint = Blueprint("assistants", __name__, url_prefix="/v1/assistants")


@blueprint.post("")
@describes(body=CreateAssistant, answer=Assistant)
async def create_assistant() -> Response:
    desk = server_state().require_assistants()
    changes = (await read_body(CreateAssistant)).changes()
    assistant = Assistant(id=new_id("asst"), created_at=desk.store.now(), **changes)
    return await stored(desk.in_thread, desk.definitions.create, assistant)


@blueprint.get("")
@describes(answer=list[Assistant])
async def list_assistants() -> Response:
    desk = server_state().require_assistants()
    return await paged(desk.in_thread, desk.definitions.list)


@blueprint.get("/<assistant_id>")
@describes(answer=Assistant)
async def get_assistant(assistant_id: str) -> Response:
    desk = server_state().require_assistants()
    return await stored(desk.in_thread, desk.definitions.get, assistant_id)


@blueprint.post("/<assistant_id>")
@describes(body=ModifyAssistant, answer=Assistant)
async def modify_assistant(assistant_id: str) -> Response:
    """Only the fields that are given change."""
    desk = server_state().require_assistants()
    changes = (await read_body(ModifyAssistant)).changes()
    return await stored(desk.in_thread, desk.definitions.update, assistant_id, **changes)


@blueprint.delete("/<assistant_id>")
@describes(answer=Deleted)
async def delete_assistant(assistant_id: str) -> Response:
    """Threads and runs of the assistant stay."""
    desk = server_state().require_assistants()
    await desk.in_thread(desk.definitions.delete, assistant_id)
    return deleted(assistant_id, "assistant")
