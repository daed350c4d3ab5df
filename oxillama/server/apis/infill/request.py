"""POST /infill: the request, in the shape of llama.cpp's server."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from oxillama.engine.requests.infill import Gap, OtherFile
from oxillama.server.generation.sampling import ModelId, SamplingFields
from oxillama.server.wire.invalid import unsupported_value

DEFAULT_SHARE = 4
"""1/DEFAULT_SHARE of the context is left to an answer whose length a request does not limit."""


class InfillFile(msgspec.Struct, kw_only=True):
    """A part of another file."""

    text: str
    filename: str = "tmp"


class InfillRequest(SamplingFields, frozen=True, kw_only=True):
    """Takes the sampling parameters of completions too. Fields that are not listed here have no effect."""

    DEFAULTS: ClassVar[dict[str, object]] = SamplingFields.DEFAULTS | {
        "input_prefix": "",
        "input_suffix": "",
        "prompt": "",
        "n_predict": -1,
    }

    model: ModelId | None = None
    input_prefix: Annotated[str | None, msgspec.Meta(description="The text before the gap.")] = None
    input_suffix: Annotated[str | None, msgspec.Meta(description="The text after the gap.")] = None
    input_extra: Annotated[
        Annotated[list[InfillFile], msgspec.Meta(max_length=1024)] | None,
        msgspec.Meta(description="Parts of other files that the model may look at."),
    ] = None
    prompt: Annotated[str | None, msgspec.Meta(description="How the text in the gap begins.")] = None
    n_predict: Annotated[
        Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)] | None,
        msgspec.Meta(description="The most tokens to write; -1: as many as fit the context."),
    ] = None

    @property
    def limit(self) -> int | None:
        """The most tokens to write; None: as many as fit the context."""
        return None if self.n_predict is None or self.n_predict < 0 else self.n_predict

    def gap(self) -> Gap:
        return Gap(
            prefix=self.input_prefix or "",
            suffix=self.input_suffix or "",
            beginning=self.prompt or "",
            others=tuple(OtherFile(text=file.text, name=file.filename) for file in self.input_extra or ()),
        )

    def room(self, n_ctx: int) -> int:
        """How many tokens of the context the answer gets."""
        return n_ctx // DEFAULT_SHARE if self.limit is None else min(self.limit, n_ctx)

    def check(self) -> None:
        """Raise APIError for fields that are not supported."""
        self.check_common()
        if self.n not in (None, 1):
            raise unsupported_value("n", self.n, "1")
