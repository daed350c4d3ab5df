"""Files that come with messages: the tools they are for, and the thread's vector store, which they join."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from oxillama.server.apis.messages.request import CreateMessage
from oxillama.server.apis.vector_stores.resources import with_files
from oxillama.server.state import server_state
from oxillama.server.wire.errors import bad_request
from oxillama.server.wire.tools import CodeInterpreterTool


async def searchable(messages: Sequence[CreateMessage], place: str) -> list[str]:
    """The files of these messages that are to be searched. place: where the request has each, such as `messages[{}].`.

    Raises APIError 400 for a file that code is to read, and ObjectNotFoundError for one that does not exist, also if no
    tool may use it.
    """
    found = []
    for at, message in enumerate(messages):
        for number, attachment in enumerate(message.attachments or ()):
            for index, tool in enumerate(attachment.tools or ()):
                if isinstance(tool, CodeInterpreterTool):
                    path = f"{place.format(at)}attachments[{number}].tools[{index}].type"
                    why = "this server does not run code that a model wrote."
                    message_ = f"Unsupported value: '{path}' does not support 'code_interpreter': {why}"
                    raise bad_request(message_, param=path, code="unsupported_value")
                found.append(attachment.file_id)
    await _require_files({one.file_id for message in messages for one in message.attachments or ()})
    return found


async def _require_files(file_ids: Collection[str]) -> None:
    if not file_ids:
        return
    files, in_thread = server_state().require_files()

    def require() -> None:
        for file_id in file_ids:
            files.files.get(file_id)

    await in_thread(require)


async def attach(thread_id: str, messages: Sequence[CreateMessage], place: str = "") -> None:
    """Let the files of messages join the vector store of a thread that exists, before the messages do.

    Nothing joins while a run is active, since the messages will be refused then, unless runs and messages are queued.
    """
    file_ids = await searchable(messages, place)
    if not file_ids:
        return
    state = server_state()
    assistants, stores = state.require_assistants(), state.require_vector_stores()
    async with stores.making_helpers:
        busy = await assistants.in_thread(assistants.store.runs.active, thread_id) is not None
        if busy and not state.config.queue_runs:
            return
        thread = await assistants.in_thread(assistants.store.threads.get, thread_id)
        async with with_files(thread.tool_resources, file_ids) as resources:
            if resources != thread.tool_resources:
                update = partial(assistants.store.threads.update, thread_id, tool_resources=resources)
                await assistants.in_thread(update)
