"""/v1/threads/{thread}/messages: the requests."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from oxillama.assistants.records import ThreadMessage
from oxillama.server.wire.fields import Metadata, NoList, Text
from oxillama.storage.ids import new_id


class MessageTextPart(msgspec.Struct, kw_only=True):
    """The only kind of content that a text model can take."""

    type: Literal["text"]
    text: Text


class CreateMessage(msgspec.Struct, kw_only=True):
    role: Literal["user", "assistant"]
    content: Text | Annotated[list[MessageTextPart], msgspec.Meta(min_length=1)]
    attachments: NoList = None
    metadata: Metadata | None = None

    def record(self, now: int) -> ThreadMessage:
        """The message to store."""
        texts = [self.content] if isinstance(self.content, str) else [part.text for part in self.content]
        return ThreadMessage.new_user(new_id("msg"), texts, now, self.metadata, self.role)
