"""The fields that chat and completions share, and the sampling parameters they amount to."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from oxillama.engine.api.types import SamplingParams
from oxillama.server.wire.errors import APIError, bad_request
from oxillama.server.wire.invalid import invalid_type, invalid_value, out_of_range

MAX_CHOICES = 128

Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]
StopString = Annotated[str, msgspec.Meta(max_length=2048)]
TokenCount = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]

_JSON_TYPES = {str: "str", bool: "bool", int: "int", float: "float", list: "array", dict: "object", type(None): "null"}


class StreamOptions(msgspec.Struct, kw_only=True):
    """`include_obfuscation` pads chunks against eavesdroppers on the hosted service; here it has no effect."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class SamplingFields(msgspec.Struct, kw_only=True):
    """What both kinds of request may say about sampling and the answer's form; None and null are "not given"."""

    model: str
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=MAX_CHOICES)] | None = None
    stop: StopString | Annotated[list[StopString], msgspec.Meta(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: dict[str, Any] | None = None
    seed: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None

    # Local extensions that other servers have too.
    top_k: Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)] | None = None
    min_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, msgspec.Meta(gt=0, le=100)] | None = None
    repeat_last_n: Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)] | None = None
    typical_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    ignore_eos: bool | None = None
    min_tokens: TokenCount | None = None
    cache_prompt: bool | None = None
    grammar: Any = None

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    def check_common(self) -> None:
        """Raise APIError for combinations and values that cannot be honoured."""
        if self.stream_options is not None and not self.stream:
            message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise bad_request(message, param="stream_options", code="invalid_value")
        if self.typical_p is not None and self.typical_p < 1:
            raise unsupported_value("typical_p", self.typical_p, "1")
        if self.grammar:
            raise unsupported_parameter("grammar")

    def sampling(self, n_vocab: int, *, max_tokens: int | None, logprobs: int | None) -> SamplingParams:
        """The engine's parameters; what is not given is left to the model's defaults.

        Raises APIError or InvalidParameterError, both with the field's name.
        """
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        return SamplingParams(
            temperature=self.temperature,
            top_k=None if self.top_k is None else max(self.top_k, 0),  # -1 is another way to say: all
            top_p=self.top_p,
            min_p=self.min_p,
            repeat_penalty=self.repeat_penalty,
            repeat_last_n=self.repeat_last_n,
            frequency_penalty=self.frequency_penalty,
            presence_penalty=self.presence_penalty,
            logit_bias=parse_logit_bias(self.logit_bias, n_vocab),
            seed=self.seed,
            max_tokens=max_tokens,
            min_tokens=self.min_tokens or 0,
            stop=stop,
            ignore_eos=bool(self.ignore_eos),
            logprobs=logprobs,
        )


def parse_logit_bias(wire: dict[str, Any] | None, n_vocab: int) -> dict[int, float]:
    """Token ids (strings on the wire) and what is added to their logits, -100 to 100."""
    biases: dict[int, float] = {}
    for key, value in (wire or {}).items():
        path = f"logit_bias.{key[:40]}"
        if not (key.isascii() and key.isdigit() and len(key) <= 10 and int(key) < n_vocab):
            message = f"Invalid key in 'logit_bias': '{key[:40]}'. Keys are token ids from 0 to {n_vocab - 1}."
            raise bad_request(message, param=path, code="invalid_value")
        if type(value) not in (int, float):
            raise invalid_type(path, ["float"], json_type(value))
        if not -100 <= value <= 100:
            op, bound = ("<=", 100) if value > 100 else (">=", -100)
            raise out_of_range(path, "float", op, bound, value)
        biases[int(key)] = float(value)
    return biases


def json_type(value: object) -> str:
    """The JSON type of a decoded value, in msgspec's words."""
    return _JSON_TYPES.get(type(value), "object")


def unsupported_parameter(param: str, hint: str = "") -> APIError:
    """400 for a parameter that would change the result and cannot be honoured."""
    message = f"Unsupported parameter: '{param}' is not supported by this server.{' ' + hint if hint else ''}"
    return bad_request(message, param=param, code="unsupported_parameter")


def unsupported_value(param: str, value: object, only: str) -> APIError:
    """The same for one of the parameter's values."""
    message = f"Unsupported value: '{param}' does not support '{str(value)[:100]}'. Supported is: {only}."
    return bad_request(message, param=param, code="unsupported_value")


def choice_of(path: str, value: object, supported: list[str]) -> str:
    """`value`, which must be one of the strings `supported`."""
    if not isinstance(value, str):
        raise invalid_type(path, ["str"], json_type(value))
    if value not in supported:
        raise invalid_value(path, value, supported)
    return value
