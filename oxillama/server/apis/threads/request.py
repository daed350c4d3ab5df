"""/v1/threads: the requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from oxillama.assistants.records import Thread
from oxillama.server.apis.messages.request import CreateMessage
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
        """The thread to store, and its first messages."""
        resources = msgspec.to_builtins(self.tool_resources)
        thread = Thread(id=new_id("thread"), created_at=now, metadata=self.metadata or {}, tool_resources=resources)
        return thread, [message.record(now) for message in self.messages or ()]


class ModifyThread(msgspec.Struct, kw_only=True):
    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that were given, as they are stored."""
        return given(self)
