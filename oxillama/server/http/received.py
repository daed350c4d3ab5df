"""A form with one file, which goes to disk as it arrives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from oxillama.server.http.form import Field, FileBegins, form_parts
from oxillama.server.wire.errors import APIError, bad_request
from oxillama.server.wire.invalid import missing_parameter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from oxillama.storage.stream import NewFile

T = TypeVar("T")


@dataclass(slots=True)
class Received:
    """A form: its file, on disk and not finished yet, the name it was sent under, and the other fields."""

    content: NewFile
    filename: str
    fields: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def received_file(
    name: str,
    most: int,
    in_thread: Callable[..., Awaitable[Any]],
    begin: Callable[[], NewFile],
    discard: Callable[[NewFile], None],
) -> AsyncIterator[Received]:
    """Receive the current request's form. The block stores the file; if it, or receiving, fails, the file is discarded.

    name: the field that has the file. most: its largest size in bytes. begin, discard: blocking, called in threads.
    Raises APIError, and what `form_parts` and the store raise.
    """
    content: NewFile | None = None
    filename = ""
    fields: dict[str, str] = {}
    try:
        async with aclosing(form_parts()) as parts:
            async for part in parts:
                match part:
                    case Field():
                        fields[part.name] = part.value
                    case FileBegins() if part.name != name or content is not None:
                        raise bad_request(f"The form has a file in '{part.name[:40]}': only '{name}' may have one.")
                    case FileBegins():
                        filename = part.filename
                        content = await in_thread(begin)
                    case bytes() if content is not None:
                        if content.size + len(part) > most:
                            raise APIError(413, f"The file is larger than {most} bytes.", param=name)
                        await in_thread(content.write, part)
        if content is None:
            raise missing_parameter(name)
        yield Received(content, filename, fields)
    except BaseException:
        if content is not None:
            with trio.CancelScope(shield=True):
                await in_thread(discard, content)
        raise
