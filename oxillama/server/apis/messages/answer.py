"""/v1/threads/{thread}/messages: the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from oxillama.assistants.records import Content, IncompleteDetails, MessageStatus, Role
from oxillama.server.wire.answer import Answer, RecordAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence


class MessageObject(RecordAnswer, kw_only=True):
    """One message of a thread."""

    id: str
    object: Literal["thread.message"] = "thread.message"
    created_at: int
    thread_id: str
    role: Role
    content: list[Content]
    status: MessageStatus
    incomplete_details: IncompleteDetails | None
    completed_at: int | None
    incomplete_at: int | None
    assistant_id: str | None
    run_id: str | None
    attachments: list[dict[str, Any]]
    metadata: dict[str, str]


class TextDelta(Answer, kw_only=True):
    """The next piece of a text. The first one has annotations, and each with which some become known."""

    value: str
    annotations: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET


class ContentDelta(Answer, kw_only=True):
    index: int = 0
    type: Literal["text"] = "text"
    text: TextDelta


class MessageDelta(Answer, kw_only=True):
    content: list[ContentDelta]


class MessageDeltaObject(Answer, kw_only=True):
    """The new part of a message that a run writes."""

    id: str
    object: Literal["thread.message.delta"] = "thread.message.delta"
    delta: MessageDelta

    @classmethod
    def of(
        cls, message_id: str, text: str, *, first: bool, annotations: Sequence[dict[str, Any]] = ()
    ) -> MessageDeltaObject:
        """A piece of text; `first`: none came before it. annotations: new ones, each with its index."""
        piece = TextDelta(value=text, annotations=list(annotations) if first or annotations else msgspec.UNSET)
        return cls(id=message_id, delta=MessageDelta(content=[ContentDelta(text=piece)]))
