"""/v1/threads: create, fetch, modify, delete. The API has no list of threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from quart import Blueprint

from oxillama.assistants.records.types import Thread, ThreadMessage
from oxillama.server.apis.assistants.request import CreateThread, ModifyThread, check_resources
from oxillama.server.apis.records import deleted, stored
from oxillama.server.apis.runs.create import new_messages
from oxillama.server.operation import describes
from oxillama.server.state import server_state
from oxillama.server.wire.answers import Deleted
from oxillama.server.wire.bodies import read_body
from oxillama.storage.ids import new_id

if TYPE_CHECKING:
    from quart import Response

blueprint = Blueprint("threads", __name__, url_prefix="/v1/threads")


def new_thread(wire: CreateThread, now: int, path: str = "") -> tuple[Thread, list[ThreadMessage]]:
    """The thread that a request asks for, and its first messages. Raises APIError."""
    check_resources(wire.tool_resources, f"{path}tool_resources")
    resources = msgspec.to_builtins(wire.tool_resources)
    thread = Thread(id=new_id("thread"), created_at=now, metadata=wire.metadata or {}, tool_resources=resources)
    return thread, new_messages(wire.messages, f"{path}messages", now)


@blueprint.post("")
@describes(body=CreateThread, answer=Thread)
async def create_thread() -> Response:
    desk = server_state().require_assistants()
    thread, messages = new_thread(await read_body(CreateThread), desk.store.now())
    return await stored(desk.in_thread, desk.store.create_thread, thread, messages)


@blueprint.get("/<thread_id>")
@describes(answer=Thread)
async def get_thread(thread_id: str) -> Response:
    desk = server_state().require_assistants()
    return await stored(desk.in_thread, desk.store.get_thread, thread_id)


@blueprint.post("/<thread_id>")
@describes(body=ModifyThread, answer=Thread)
async def modify_thread(thread_id: str) -> Response:
    desk = server_state().require_assistants()
    changes = (await read_body(ModifyThread)).changes()
    return await stored(desk.in_thread, desk.store.update_thread, thread_id, **changes)


@blueprint.delete("/<thread_id>")
@describes(answer=Deleted)
async def delete_thread(thread_id: str) -> Response:
    """A run that is at work on the thread ends with it."""
    await server_state().require_assistants().delete_thread(thread_id)
    return deleted(thread_id, "thread")
