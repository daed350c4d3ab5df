"""Why a file has no text."""

from __future__ import annotations

from typing import Literal

Code = Literal["unsupported_file", "invalid_file", "server_error"]


class UnreadableError(Exception):
    """The file cannot be read. The text is one sentence for the client; `code` is the API's."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code
