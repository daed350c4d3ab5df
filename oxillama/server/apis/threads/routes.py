"""/v1/threads: create, fetch, modify, delete. The API has no list of threads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from oxillama.server.apis.threads.answer import ThreadObject
from oxillama.server.apis.threads.request import CreateThread, ModifyThread
from oxillama.server.apis.vector_stores.resources import HELPER_DAYS, resolved
from oxillama.server.operation import API
from oxillama.server.state import server_state
from oxillama.server.wire.answer import Deleted

if TYPE_CHECKING:
    from oxillama.assistants.records import Thread

api = API("threads", prefix="/v1/threads", order=50)


@api.post(
    "",
    body=CreateThread,
    answer=ThreadObject,
    example={"messages": [{"role": "user", "content": "Name three rivers."}]},
)
async def create_thread(wire: CreateThread) -> ThreadObject:
    assistants = server_state().require_assistants()
    async with wire.resources() as resources:

        def create() -> Thread:  # a thread may begin with very many messages
            thread, messages = wire.records(assistants.store.now())
            return assistants.store.threads.create(msgspec.structs.replace(thread, tool_resources=resources), messages)

        return ThreadObject.of(await assistants.in_thread(create))


@api.get("/<thread_id>", answer=ThreadObject)
async def get_thread(thread_id: str) -> ThreadObject:
    assistants = server_state().require_assistants()
    return ThreadObject.of(await assistants.in_thread(assistants.store.threads.get, thread_id))


@api.post("/<thread_id>", body=ModifyThread, answer=ThreadObject, example={"metadata": {"topic": "rivers"}})
async def modify_thread(wire: ModifyThread, thread_id: str) -> ThreadObject:
    assistants = server_state().require_assistants()
    await assistants.in_thread(assistants.store.threads.get, thread_id)
    async with resolved(wire.tool_resources, days=HELPER_DAYS) as resources:
        changes = wire.changes() if resources is None else wire.changes() | {"tool_resources": resources}
        return ThreadObject.of(
            await assistants.in_thread(partial(assistants.store.threads.update, thread_id, **changes))
        )


@api.delete("/<thread_id>", answer=Deleted)
async def delete_thread(thread_id: str) -> Deleted:
    """A run that is active on the thread is cancelled."""
    await server_state().require_assistants().delete_thread(thread_id)
    return Deleted(id=thread_id, object="thread.deleted")
