"""/v1/threads: the requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from oxillama.assistants.records import Thread
from oxillama.server.apis.messages.request import CreateMessage, message_records
from oxillama.server.wire.fields import Metadata, given
from oxillama.server.wire.tools import ToolResources, check_resources
from oxillama.storage.ids import new_id

if TYPE_CHECKING:
    from oxillama.assistants.records import ThreadMessage


class CreateThread(msgspec.Struct, kw_only=True):
    messages: list[CreateMessage] | None = None
    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None

    def records(self, now: int, path: str = "") -> tuple[Thread, list[ThreadMessage]]:
        """The thread to store, and its first messages; `path` is where it stands in the request. Raises APIError."""
        check_resources(self.tool_resources, f"{path}tool_resources")
        resources = msgspec.to_builtins(self.tool_resources)
        thread = Thread(id=new_id("thread"), created_at=now, metadata=self.metadata or {}, tool_resources=resources)
        return thread, message_records(self.messages, now, f"{path}messages")


class ModifyThread(msgspec.Struct, kw_only=True):
    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that were given, as they are stored. Raises APIError."""
        check_resources(self.tool_resources)
        return given(self)
