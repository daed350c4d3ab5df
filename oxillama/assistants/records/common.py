"""Types that several kinds of records contain."""

from __future__ import annotations

import msgspec

Metadata = dict[str, str]


class RunError(msgspec.Struct, frozen=True):
    """Why a run or a step failed; `code` is `server_error`, `rate_limit_exceeded` or `invalid_prompt`."""

    code: str
    message: str


class CachedPromptTokens(msgspec.Struct, frozen=True):
    """cached_tokens: prompt tokens that came from the prefix cache."""

    cached_tokens: int = 0


class TokenUsage(msgspec.Struct, frozen=True):
    """How many tokens a run or a step used."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedPromptTokens = CachedPromptTokens()


class IncompleteDetails(msgspec.Struct, frozen=True):
    """Why a message or a run is incomplete."""

    reason: str
