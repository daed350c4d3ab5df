"""/v1/assistants: create, list, fetch, modify, delete."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from oxillama.assistants.records import Assistant
from oxillama.assistants.support import require_supported
from oxillama.server.apis.assistants.answer import AssistantObject
from oxillama.server.apis.assistants.request import CreateAssistant, ModifyAssistant
from oxillama.server.apis.vector_stores.resources import resolved
from oxillama.server.operation import API
from oxillama.server.state import server_state
from oxillama.server.wire.answer import Deleted
from oxillama.server.wire.pagination import Page, read_page
from oxillama.storage.ids import new_id

api = API("assistants", prefix="/v1/assistants", order=40)


@api.post("", body=CreateAssistant, answer=AssistantObject, example={"instructions": "You are brief."})
async def create_assistant(wire: CreateAssistant) -> AssistantObject:
    assistants = server_state().require_assistants()
    async with _changes(wire) as changes:
        assistant = Assistant(id=new_id("asst"), created_at=assistants.store.now(), **changes)
        return AssistantObject.of(await assistants.in_thread(assistants.store.assistants.create, assistant))


@api.get("", answer=Page[AssistantObject])
async def list_assistants() -> Page[AssistantObject]:
    assistants = server_state().require_assistants()
    return await read_page(assistants.in_thread, assistants.store.assistants.page, AssistantObject.of)


@api.get("/<assistant_id>", answer=AssistantObject)
async def get_assistant(assistant_id: str) -> AssistantObject:
    assistants = server_state().require_assistants()
    return AssistantObject.of(await assistants.in_thread(assistants.store.assistants.get, assistant_id))


@api.post("/<assistant_id>", body=ModifyAssistant, answer=AssistantObject, example={"name": "Brief"})
async def modify_assistant(wire: ModifyAssistant, assistant_id: str) -> AssistantObject:
    """Only the fields that are given change."""
    assistants = server_state().require_assistants()
    await assistants.in_thread(assistants.store.assistants.get, assistant_id)
    async with _changes(wire) as changes:
        update = partial(assistants.store.assistants.update, assistant_id, **changes)
        return AssistantObject.of(await assistants.in_thread(update))


@api.delete("/<assistant_id>", answer=Deleted)
async def delete_assistant(assistant_id: str) -> Deleted:
    """Threads and runs of the assistant stay."""
    assistants = server_state().require_assistants()
    await assistants.in_thread(assistants.store.assistants.delete, assistant_id)
    return Deleted(id=assistant_id, object="assistant.deleted")


@asynccontextmanager
async def _changes(wire: CreateAssistant | ModifyAssistant) -> AsyncIterator[dict[str, Any]]:
    """The fields that were given, as they are stored inside the block.

    Settings that no run could honour are refused here, before a run fails on them. Stored assistants stay readable.
    """
    if wire.model is not None:
        server_state().check_model(wire.model)
    changes = wire.changes()
    require_supported(**{name: changes[name] for name in ("tools", "response_format") if name in changes})
    async with resolved(wire.tool_resources) as resources:
        yield changes if resources is None else changes | {"tool_resources": resources}
