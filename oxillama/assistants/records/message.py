"""Messages of a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from oxillama.assistants.records.common import IncompleteDetails, Metadata, TokenUsage
from oxillama.storage.record import Record

if TYPE_CHECKING:
    from oxillama.assistants.records.run import Run

Role = Literal["user", "assistant"]
MessageStatus = Literal["in_progress", "incomplete", "completed"]


class TextValue(msgspec.Struct, frozen=True):
    """The text of a content part; annotations point into it by character offsets."""

    value: str
    annotations: list[dict[str, Any]] = []


class TextContent(msgspec.Struct, frozen=True):
    """A content part of a stored message. In requests `text` is a plain string instead."""

    text: TextValue
    type: Literal["text"] = "text"


class ThreadMessage(Record, frozen=True, kw_only=True):
    """One message of a thread.

    usage: the tokens it cost, so that a restart can complete its run. deleted: this record deletes the message.
    """

    thread_id: str = ""
    role: Role
    content: list[TextContent]
    status: MessageStatus
    incomplete_details: IncompleteDetails | None = None
    completed_at: int | None = None
    incomplete_at: int | None = None
    assistant_id: str | None = None
    run_id: str | None = None
    attachments: list[dict[str, Any]] = msgspec.field(default_factory=list)
    metadata: Metadata = msgspec.field(default_factory=dict)
    usage: TokenUsage | None = None
    deleted: bool = False

    @classmethod
    def new_user(
        cls,
        message_id: str,
        text: str | list[str],
        created_at: int,
        metadata: Metadata | None = None,
        role: Role = "user",
    ) -> ThreadMessage:
        """A message that a client adds. It is complete at once."""
        parts = [text] if isinstance(text, str) else text
        return cls(
            id=message_id,
            created_at=created_at,
            role=role,
            content=[TextContent(TextValue(part)) for part in parts],
            status="completed",
            completed_at=created_at,
            metadata=metadata or {},
        )

    @classmethod
    def new_assistant(cls, message_id: str, run: Run, created_at: int) -> ThreadMessage:
        """The empty message that a run is about to write."""
        return cls(
            id=message_id,
            created_at=created_at,
            thread_id=run.thread_id,
            role="assistant",
            content=[],
            status="in_progress",
            assistant_id=run.assistant_id,
            run_id=run.id,
        )

    @property
    def text_content(self) -> str:
        """The text of all parts together."""
        return "".join(part.text.value for part in self.content)
