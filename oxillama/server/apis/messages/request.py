"""/v1/threads/{thread}/messages: the requests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from oxillama.assistants.records import ThreadMessage
from oxillama.server.wire.fields import Metadata, Text
from oxillama.server.wire.invalid import invalid_value, missing_parameter
from oxillama.server.wire.tools import unsupported_files
from oxillama.storage.ids import new_id


class MessageContentPart(msgspec.Struct, kw_only=True):
    """Text, or a kind of content that a text model cannot take."""

    type: str
    text: Text | None = None

    def checked(self, path: str) -> str:
        """The text of the part at `path`. Raises APIError."""
        if self.type != "text":
            raise invalid_value(f"{path}.type", self.type, ["text"])
        if self.text is None:
            raise missing_parameter(f"{path}.text")
        return self.text


class Attachment(msgspec.Struct, kw_only=True):
    file_id: str | None = None
    tools: list[dict[str, Any]] | None = None


class CreateMessage(msgspec.Struct, kw_only=True):
    role: Literal["user", "assistant"]
    content: Text | Annotated[list[MessageContentPart], msgspec.Meta(min_length=1)]
    attachments: list[Attachment] | None = None
    metadata: Metadata | None = None

    def record(self, now: int, path: str = "") -> ThreadMessage:
        """The message to store; `path` is where it stands in the request. Raises APIError."""
        if self.attachments:
            raise unsupported_files(f"{path}attachments")
        if isinstance(self.content, str):
            texts = [self.content]
        else:
            texts = [part.checked(f"{path}content[{at}]") for at, part in enumerate(self.content)]
        return ThreadMessage.new_user(new_id("msg"), texts, now, self.metadata, self.role)


def message_records(wire: list[CreateMessage] | None, now: int, path: str) -> list[ThreadMessage]:
    """The messages of a list that stands at `path`. Raises APIError."""
    return [message.record(now, f"{path}[{at}].") for at, message in enumerate(wire or ())]
