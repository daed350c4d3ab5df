"""Request fields that chat and completions share, and the sampling parameters that they become."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from oxillama.engine.api.types import SamplingParams
from oxillama.server.wire.errors import bad_request
from oxillama.server.wire.fields import END, Temperature, TopP, accepts
from oxillama.server.wire.invalid import out_of_range, unsupported_value

MAX_CHOICES = 128
MAX_STOPS = 64
"""OpenAI takes 4; editors send more."""

Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]
StopString = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
TokenCount = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
TokenKey = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,10}" + END)]
Bias = Annotated[float, msgspec.Meta(ge=-100, le=100)]


class StreamOptions(msgspec.Struct, kw_only=True):
    """`include_obfuscation` pads chunks against eavesdroppers on the hosted service; here it has no effect."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class SamplingFields(msgspec.Struct, kw_only=True):
    """The sampling and format fields of both kinds of request. None and null mean "not given".

    The engine decides the defaults (`EngineLike.sampling_defaults`).
    """

    DEFAULTS: ClassVar[dict[str, object]] = {
        "n": 1,
        "stream": False,
        "ignore_eos": False,
        "min_tokens": 0,
        "cache_prompt": True,
    }
    """The meaning of absent fields, except those that the engine decides."""

    model: Annotated[str, msgspec.Meta(description="The id of a model, as `GET /v1/models` lists it.")]
    temperature: Temperature | None = None
    top_p: TopP | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=MAX_CHOICES)] | None = None
    stop: StopString | Annotated[list[StopString], msgspec.Meta(max_length=MAX_STOPS)] | None = None
    stream: bool | None = None
    stream_options: Annotated[StreamOptions | None, msgspec.Meta(description="Only with `stream`.")] = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: Annotated[
        dict[TokenKey, Bias] | None, msgspec.Meta(description="Token ids, and what is added to their logits.")
    ] = None
    seed: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None

    # Extensions of the OpenAI API that other local servers have too.
    top_k: Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)] | None = None
    min_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, msgspec.Meta(ge=0.001, le=100)] | None = None
    repeat_last_n: Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)] | None = None
    typical_p: Annotated[TopP | None, accepts({"enum": [1, None]}, "Only 1, which has no effect.")] = None
    ignore_eos: bool | None = None
    min_tokens: TokenCount | None = None
    cache_prompt: bool | None = None

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    def check_common(self) -> None:
        """Raise APIError for combinations and values that are not supported."""
        if self.stream_options is not None and not self.stream:
            message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise bad_request(message, param="stream_options", code="invalid_value")
        if self.typical_p is not None and self.typical_p < 1:
            raise unsupported_value("typical_p", self.typical_p, "1")

    def sampling(self, n_vocab: int, *, max_tokens: int | None, logprobs: int | None) -> SamplingParams:
        """The engine's parameters. Fields that are not given get the engine's defaults.

        Raises APIError or InvalidParameterError, both with the field's name.
        """
        return SamplingParams(
            temperature=self.temperature,
            top_k=None if self.top_k is None else max(self.top_k, 0),  # other servers take -1 for "all"
            top_p=self.top_p,
            min_p=self.min_p,
            repeat_penalty=self.repeat_penalty,
            repeat_last_n=self.repeat_last_n,
            frequency_penalty=self.frequency_penalty,
            presence_penalty=self.presence_penalty,
            logit_bias=_token_biases(self.logit_bias or {}, n_vocab),
            seed=self.seed,
            max_tokens=max_tokens,
            min_tokens=self.min_tokens or 0,
            stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
            ignore_eos=bool(self.ignore_eos),
            logprobs=logprobs,
        )


def _token_biases(wire: dict[str, float], n_vocab: int) -> dict[int, float]:
    for key in wire:
        if int(key) >= n_vocab:
            raise out_of_range(f"logit_bias.{key}", "int", "<=", n_vocab - 1, int(key))
    return {int(key): bias for key, bias in wire.items()}
