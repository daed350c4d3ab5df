"""POST /v1/completions: the request."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec

from oxillama.engine.requests.check import check_length
from oxillama.server.generation.sampling import MAX_CHOICES, SamplingFields, TokenCount
from oxillama.server.wire.errors import bad_request
from oxillama.server.wire.fields import NoText, accepts
from oxillama.server.wire.invalid import invalid_type, json_type, out_of_range, wrong_length

DEFAULT_MAX_TOKENS = 16
_IDS = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}
PROMPT = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_CHOICES},
        _IDS,
        {"type": "array", "items": _IDS, "minItems": 1, "maxItems": MAX_CHOICES},
        {"type": "null"},
    ]
}
"""A text, a list of texts, a list of token ids, or a list of such lists."""


class CompletionRequest(SamplingFields, kw_only=True):
    """Fields of the OpenAI API that are not listed here have no effect and are ignored."""

    DEFAULTS: ClassVar[dict[str, object]] = SamplingFields.DEFAULTS | {
        "prompt": "",
        "max_tokens": DEFAULT_MAX_TOKENS,
        "best_of": 1,
        "echo": False,
    }

    prompt: Annotated[str | list[Any] | None, accepts(PROMPT)] = None
    max_tokens: TokenCount | None = None
    best_of: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=20)] | None,
        msgspec.Meta(description="At least `n`; together with `stream` exactly `n`."),
    ] = None
    logprobs: Annotated[int, msgspec.Meta(ge=0, le=5)] | None = None
    echo: bool | None = None
    suffix: NoText = None

    @property
    def limit(self) -> int:
        return DEFAULT_MAX_TOKENS if self.max_tokens is None else self.max_tokens

    @property
    def candidates(self) -> int:
        """The number of candidates per prompt. The best `n` are returned."""
        return max(self.n or 1, self.best_of or 1)

    @property
    def ranks(self) -> bool:
        """Whether more candidates are generated than returned."""
        return self.candidates > (self.n or 1)

    def check(self) -> None:
        """Raise APIError for fields that are not supported."""
        self.check_common()
        if self.best_of is not None and self.best_of < (self.n or 1):
            message = f"Invalid 'best_of': it must not be less than 'n', but {self.best_of} < {self.n}."
            raise bad_request(message, param="best_of", code="integer_below_min_value")
        if self.stream and self.ranks:
            message = "The 'best_of' parameter cannot be used together with 'stream'."
            raise bad_request(message, param="best_of", code="invalid_value")

    def prompts(self, n_vocab: int, n_ctx: int) -> list[str | tuple[int, ...]]:
        """The prompts: texts, or token ids in range. An absent prompt is an empty text. Raises APIError."""
        found = self._prompts(n_vocab, n_ctx)
        if len(found) * self.candidates > MAX_CHOICES:
            message = f"Invalid 'prompt': {len(found)} times {self.candidates} choices are more than {MAX_CHOICES}."
            raise bad_request(message, param="prompt", code="array_above_max_length")
        return found

    def _prompts(self, n_vocab: int, n_ctx: int) -> list[str | tuple[int, ...]]:
        if not isinstance(self.prompt, list):
            return [self.prompt or ""]
        if not self.prompt:
            raise wrong_length("prompt", "array", ">=", 1, self.prompt)
        first = self.prompt[0]
        if isinstance(first, (str, list)) and len(self.prompt) > MAX_CHOICES:
            raise wrong_length("prompt", "array", "<=", MAX_CHOICES, self.prompt)
        if isinstance(first, str):
            return [_string(text, f"prompt[{at}]") for at, text in enumerate(self.prompt)]
        if isinstance(first, list):
            return [_tokens(ids, f"prompt[{at}]", n_vocab, n_ctx) for at, ids in enumerate(self.prompt)]
        return [_tokens(self.prompt, "prompt", n_vocab, n_ctx)]


def _string(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise invalid_type(path, ["str"], json_type(value))
    return value


def _tokens(value: Any, path: str, n_vocab: int, n_ctx: int) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise invalid_type(path, ["array"], json_type(value))
    if not value:
        raise wrong_length(path, "array", ">=", 1, value)
    check_length(len(value), n_ctx, path, room=0)
    for at, token in enumerate(value):
        if type(token) is not int:
            raise invalid_type(f"{path}[{at}]", ["int"], json_type(token))
        if not 0 <= token < n_vocab:
            op, bound = (">=", 0) if token < 0 else ("<=", n_vocab - 1)
            raise out_of_range(f"{path}[{at}]", "int", op, bound, token)
    return tuple(value)
