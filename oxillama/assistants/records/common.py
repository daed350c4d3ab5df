"""What several kinds of records hold."""

from __future__ import annotations

import msgspec

Metadata = dict[str, str]


class RunError(msgspec.Struct, frozen=True):
    """Why a run or a step failed; `code` is `server_error`, `rate_limit_exceeded` or `invalid_prompt`."""

    code: str
    message: str


class TokenUsage(msgspec.Struct, frozen=True):
    """Tokens of a run or a step."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class IncompleteDetails(msgspec.Struct, frozen=True):
    """Why a message or a run ended early."""

    reason: str
