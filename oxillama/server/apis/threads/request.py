"""/v1/threads: the requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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

    @asynccontextmanager
    async def resources(self, place: str = "") -> AsyncIterator[dict[str, Any] | None]:
        """What the thread's tools work on, with the files of its messages. The thread is stored inside the block.

        place: of this in the request.
        """
        file_ids = await searchable(self.messages or (), f"{place}messages[{{}}].")
        async with resolved(self.tool_resources, days=HELPER_DAYS) as own, with_files(own, file_ids) as resources:
            yield resources


class ModifyThread(msgspec.Struct, kw_only=True):
    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that were given, as they are stored."""
        return given(self)
