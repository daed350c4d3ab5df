"""Request fields that chat and completions share, and the sampling parameters that they become."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from oxillama.engine.api.types import MOST_STRINGS, SamplingParams
from oxillama.server.wire.errors import bad_request
from oxillama.server.wire.fields import SamplerFields, SamplerName, Temperature, TopP, accepts
from oxillama.server.wire.invalid import invalid_value, out_of_range, wrong_length

MAX_CHOICES = 128
MAX_STOPS = 64
"""OpenAI takes 4; editors send more."""
MOST_DIGITS = 10
"""Of a token's id in `logit_bias`; no vocabulary needs more."""

ModelId = Annotated[str, msgspec.Meta(description="The id of a model, as `GET /v1/models` lists it.")]
Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]
StopString = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
TokenCount = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Bias = Annotated[float, msgspec.Meta(ge=-100, le=100)]
Phrase = Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_STRINGS)]

Biases = dict[str, float | bool] | list[tuple[int | str, float | bool]] | None

_BIAS: dict[str, Any] = {"anyOf": [{"type": "number", "minimum": -100, "maximum": 100}, {"const": False}]}
_KEY = {"type": "string", "minLength": 1, "maxLength": MOST_STRINGS}
_PAIR = {
    "type": "array",
    "items": {"anyOf": [{"type": "integer", "minimum": 0}, _KEY, *_BIAS["anyOf"]]},
    "minItems": 2,
    "maxItems": 2,
}
BIASES = {
    "anyOf": [
        {"type": "object", "propertyNames": _KEY, "additionalProperties": _BIAS},
        {"type": "array", "items": _PAIR},
        {"type": "null"},
    ]
}
"""What `logit_bias` takes."""


class StreamOptions(msgspec.Struct, kw_only=True):
    """`include_obfuscation` pads chunks against eavesdroppers on the hosted service; here it has no effect."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class SamplingFields(SamplerFields, frozen=True, kw_only=True):
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

    temperature: Temperature | None = None
    top_p: TopP | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=MAX_CHOICES)] | None = None
    stop: StopString | Annotated[list[StopString], msgspec.Meta(max_length=MAX_STOPS)] | None = None
    stream: bool | None = None
    stream_options: Annotated[StreamOptions | None, msgspec.Meta(description="Only with `stream`.")] = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: Annotated[
        dict[str, Bias | bool] | list[tuple[int | str, Bias | bool]] | None,
        accepts(
            BIASES,
            "What is added to the logits of tokens; false excludes them. Digits are a token's id, another text means "
            "each of its tokens. In pairs [token, bias], a number is an id.",
        ),
    ] = None
    seed: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None

    # Extensions of the OpenAI API that other local servers have too.
    top_k: Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)] | None = None
    min_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, msgspec.Meta(ge=0.001, le=100)] | None = None
    repeat_last_n: Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)] | None = None
    dry_sequence_breakers: Annotated[list[Phrase], msgspec.Meta(max_length=MOST_STRINGS)] | None = None
    samplers: Annotated[
        list[SamplerName] | None,
        msgspec.Meta(
            description="The steps in their order, each once; those that are left out do not take place. `infill`, "
            "which editors name for llama.cpp's server, has no effect."
        ),
    ] = None
    banned_strings: Annotated[
        Annotated[list[Phrase], msgspec.Meta(max_length=MOST_STRINGS)] | None,
        msgspec.Meta(description="The text contains none of them, however its tokens are cut."),
    ] = None
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
            dry_sequence_breakers=_texts(self.dry_sequence_breakers),
            samplers=_texts(None if self.samplers is None else [n for n in self.samplers if n != "infill"]),
            **self.sampler_values(),
            logit_bias=_biases(self.logit_bias, n_vocab),
            banned_strings=tuple(self.banned_strings or ()),
            seed=self.seed,
            max_tokens=max_tokens,
            min_tokens=self.min_tokens or 0,
            stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
            ignore_eos=bool(self.ignore_eos),
            logprobs=logprobs,
        )


def _texts(wire: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if wire is None else tuple(wire)


def _biases(wire: Biases, n_vocab: int) -> dict[int | str, float]:
    """`logit_bias` in any of its forms. Raises APIError for ids and values that are not described."""
    found: dict[int | str, float] = {}
    pairs = (
        [(key, key, bias) for key, bias in wire.items()]
        if isinstance(wire, dict)
        else [(f"[{at}]", key, bias) for at, (key, bias) in enumerate(wire or ())]
    )
    for place, given, bias in pairs:
        path = f"logit_bias.{place[:40]}" if isinstance(wire, dict) else f"logit_bias{place}"
        key: int | str = given
        if isinstance(wire, dict) and isinstance(given, str) and given.isascii() and given.isdigit():
            key = int(given) if len(given) <= MOST_DIGITS else n_vocab
        if isinstance(key, int) and not 0 <= key < n_vocab:
            op, bound = ("<=", n_vocab - 1) if key >= n_vocab else (">=", 0)
            raise out_of_range(path, "int", op, bound, given)
        if isinstance(key, str) and not 1 <= len(key) <= MOST_STRINGS:
            op, bound = ("<=", MOST_STRINGS) if key else (">=", 1)
            raise wrong_length(path, "str", op, bound, key)
        if bias is True:
            raise invalid_value(path, "true", ["false", "a number"])
        found[key] = found.get(key, 0.0) + (-math.inf if bias is False else bias)
    return found
