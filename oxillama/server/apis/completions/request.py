"""POST /v1/completions: the request."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec

from oxillama.server.generation.formats import FormatFields
from oxillama.server.generation.prompts import schema_of, texts_or_ids
from oxillama.server.generation.sampling import MAX_CHOICES, ModelId, TokenCount
from oxillama.server.wire.errors import bad_request
from oxillama.server.wire.fields import accepts

DEFAULT_MAX_TOKENS = 16


class CompletionRequest(FormatFields, frozen=True, kw_only=True):
    """Fields of the OpenAI API that are not listed here have no effect and are ignored."""

    DEFAULTS: ClassVar[dict[str, object]] = FormatFields.DEFAULTS | {
        "prompt": "",
        "max_tokens": DEFAULT_MAX_TOKENS,
        "best_of": 1,
        "echo": False,
    }

    model: ModelId
    prompt: Annotated[str | list[Any] | None, accepts(schema_of(MAX_CHOICES, nullable=True))] = None
    max_tokens: TokenCount | None = None
    best_of: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=20)] | None,
        msgspec.Meta(description="At least `n`; together with `stream` exactly `n`."),
    ] = None
    logprobs: Annotated[int, msgspec.Meta(ge=0, le=5)] | None = None
    echo: bool | None = None
    suffix: Annotated[
        str | None, msgspec.Meta(description="The text after the one to write, for models that can fill in the middle.")
    ] = None

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
        if self.suffix and self.echo and self.logprobs is not None:
            message = "The 'suffix' parameter cannot be used together with 'echo' and 'logprobs'."
            raise bad_request(message, param="suffix", code="invalid_value")

    def prompts(self, n_vocab: int, n_ctx: int) -> list[str | tuple[int, ...]]:
        """The prompts: texts, or token ids in range. An absent prompt is an empty text. Raises APIError."""
        given = "" if self.prompt is None else self.prompt
        found = texts_or_ids(given, "prompt", most=MAX_CHOICES, n_vocab=n_vocab, n_ctx=n_ctx)
        if len(found) * self.candidates > MAX_CHOICES:
            message = f"Invalid 'prompt': {len(found)} times {self.candidates} choices are more than {MAX_CHOICES}."
            raise bad_request(message, param="prompt", code="array_above_max_length")
        return found
