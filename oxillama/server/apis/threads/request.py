"""/v1/threads: the requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from oxillama.assistants.records import Thread
from oxillama.server.apis.messages.attachments import searchable
from oxillama.server.apis.messages.request import CreateMessage
from oxillama.server.apis.vector_stores.resources import HELPER_DAYS, resolved, with_files
from oxillama.server.wire.fields import Metadata, given
from oxillama.server.wire.tools import ToolResources
from oxillama.storage.ids import new_id

if TYPE_CHECKING:
    from oxillama.assistants.records import ThreadMessage


class CreateThread(msgspec.Struct, kw_only=True):
    messages: list[CreateMessage] | None = None
    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None

    def records(self, now: int) -> tuple[Thread, list[ThreadMessage]]:
        """The thread to store, without `resources`, and its first messages."""
        thread = Thread(id=new_id("thread"), created_at=now, metadata=self.metadata or {})
        return thread, [message.record(now) for message in self.messages or ()]

    async def resources(self, place: str = "") -> dict[str, Any] | None:
        """What the thread's tools work on, with the files of its messages. place: of this in the request."""
        file_ids = await searchable(self.messages or (), f"{place}messages[{{}}].")
        return await with_files(await resolved(self.tool_resources, days=HELPER_DAYS), file_ids)


class ModifyThread(msgspec.Struct, kw_only=True):
    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that were given, as they are stored."""
        return given(self)
