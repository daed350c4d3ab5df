"""/v1/threads/{thread}/messages: the requests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from oxillama.assistants.records import (
    Content,
    Detail,
    ImageFile,
    ImageFileContent,
    ImageURL,
    ImageURLContent,
    ThreadMessage,
)
from oxillama.server.wire.fields import Metadata, Text
from oxillama.server.wire.tools import CodeInterpreterTool, ObjectId
from oxillama.storage.ids import new_id

MOST_ATTACHMENTS = 500
ImageAddress = Annotated[str, msgspec.Meta(min_length=1, max_length=256_000)]


class MessageTextPart(msgspec.Struct, kw_only=True, tag_field="type", tag="text"):
    """A text. In answers `text` is an object instead."""

    text: Text


class ImageFileField(msgspec.Struct, kw_only=True):
    file_id: ObjectId
    detail: Detail | None = None


class ImageFilePart(msgspec.Struct, kw_only=True, tag_field="type", tag="image_file"):
    """An uploaded image. Models that read text are told that there was one."""

    image_file: ImageFileField


class ImageURLField(msgspec.Struct, kw_only=True):
    url: ImageAddress
    detail: Detail | None = None


class ImageURLPart(msgspec.Struct, kw_only=True, tag_field="type", tag="image_url"):
    """An image somewhere else. Models that read text are told that there was one."""

    image_url: ImageURLField


ContentPart = MessageTextPart | ImageFilePart | ImageURLPart


def _stored(part: ContentPart) -> str | Content:
    match part:
        case MessageTextPart():
            return part.text
        case ImageFilePart(image_file=image):
            return ImageFileContent(ImageFile(image.file_id, image.detail or "auto"))
        case ImageURLPart(image_url=address):
            return ImageURLContent(ImageURL(address.url, address.detail or "auto"))


class SearchableFile(msgspec.Struct, kw_only=True, tag_field="type", tag="file_search"):
    """The file joins the thread's vector store."""


class Attachment(msgspec.Struct, kw_only=True):
    """A file that comes with a message, and the tools that may use it."""

    file_id: ObjectId
    tools: Annotated[list[SearchableFile | CodeInterpreterTool], msgspec.Meta(max_length=2)] | None = None


class CreateMessage(msgspec.Struct, kw_only=True):
    role: Literal["user", "assistant"]
    content: Text | Annotated[list[ContentPart], msgspec.Meta(min_length=1)]
    attachments: Annotated[list[Attachment], msgspec.Meta(max_length=MOST_ATTACHMENTS)] | None = None
    metadata: Metadata | None = None

    def record(self, now: int) -> ThreadMessage:
        """The message to store."""
        content = self.content if isinstance(self.content, str) else list(map(_stored, self.content))
        message = ThreadMessage.new_user(new_id("msg"), content, now, self.metadata, self.role)
        return msgspec.structs.replace(message, attachments=self._attachments())

    def _attachments(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = msgspec.to_builtins(self.attachments or [])
        return [{name: value for name, value in one.items() if value is not None} for one in found]
