"""Messages of a thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec

from oxillama.assistants.records.common import IncompleteDetails, Metadata, TokenUsage
from oxillama.storage.record import Record

Role = Literal["user", "assistant"]
MessageStatus = Literal["in_progress", "incomplete", "completed"]


class Author(Protocol):
    """The run that writes a message."""

    @property
    def id(self) -> str: ...
    @property
    def thread_id(self) -> str: ...
    @property
    def assistant_id(self) -> str: ...


class TextValue(msgspec.Struct, frozen=True):
    """The text of a content part; annotations point into it by character offsets."""

    value: str
    annotations: list[dict[str, Any]] = []


class TextContent(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """A text part of a message. In requests `text` is a plain string instead."""

    text: TextValue


Detail = Literal["auto", "low", "high", "original"]
"""How closely a model should look at an image."""


class ImageFile(msgspec.Struct, frozen=True):
    """An image among the uploaded files."""

    file_id: str
    detail: Detail = "auto"


class ImageFileContent(msgspec.Struct, frozen=True, tag_field="type", tag="image_file"):
    """A part that is an uploaded image."""

    image_file: ImageFile


class ImageURL(msgspec.Struct, frozen=True):
    """An image somewhere else."""

    url: str
    detail: Detail = "auto"


class ImageURLContent(msgspec.Struct, frozen=True, tag_field="type", tag="image_url"):
    """A part that is an image somewhere else."""

    image_url: ImageURL


class RefusalContent(msgspec.Struct, frozen=True, tag_field="type", tag="refusal"):
    """A part in which a model refused to answer. Only imported messages have it."""

    refusal: str


Content = TextContent | ImageFileContent | ImageURLContent | RefusalContent

UNSEEN_IMAGE = "[An image, which you cannot see]"
"""What the prompt says instead of an image: a model that reads text must not take the question for the whole of it."""


def _as_text(part: Content) -> str:
    match part:
        case TextContent():
            return part.text.value
        case RefusalContent():
            return part.refusal
        case _:
            return UNSEEN_IMAGE


class ThreadMessage(Record, frozen=True, kw_only=True):
    """One message of a thread.

    usage: the tokens its run had cost, so that a restart can complete the run. interim: the run went on to call tools
    after it, so it says nothing about the run's end.
    """

    thread_id: str = ""
    role: Role
    content: list[Content]
    status: MessageStatus
    incomplete_details: IncompleteDetails | None = None
    completed_at: int | None = None
    incomplete_at: int | None = None
    assistant_id: str | None = None
    run_id: str | None = None
    attachments: list[dict[str, Any]] = msgspec.field(default_factory=list)
    metadata: Metadata = msgspec.field(default_factory=dict)
    usage: TokenUsage | None = None
    interim: bool = False

    @classmethod
    def new_user(
        cls,
        message_id: str,
        content: str | Sequence[str | Content],
        created_at: int,
        metadata: Metadata | None = None,
        role: Role = "user",
    ) -> ThreadMessage:
        """A message that a client adds. It is complete at once."""
        parts = [content] if isinstance(content, str) else content
        return cls(
            id=message_id,
            created_at=created_at,
            role=role,
            content=[TextContent(TextValue(part)) if isinstance(part, str) else part for part in parts],
            status="completed",
            completed_at=created_at,
            metadata=metadata or {},
        )

    @classmethod
    def new_assistant(cls, message_id: str, run: Author, created_at: int) -> ThreadMessage:
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
        """All parts together, as the model reads them."""
        return "".join(map(_as_text, self.content))
