"""What goes into the engine and what comes out: plain values, no behaviour beyond validation."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from oxillama.engine.api.samplers import sampler_names
from oxillama.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.engine.api.constraint import Constraint
    from oxillama.engine.api.reading import Reader

FinishReason = Literal["stop", "length"]


class Priority(enum.IntEnum):
    """Interactive requests go first; background work yields to them."""

    INTERACTIVE = 0
    BACKGROUND = 1


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # as NaN is not, either
        raise InvalidParameterError(f"Invalid '{name}': {value!r} is not between {low} and {high}.", param=name)


MOST_STRINGS = 1024
"""Most strings in one parameter, and most characters of each."""

MOST_BANNED = 65_536
"""Most characters of all banned strings together."""


def _check_strings(name: str, values: Sequence[str]) -> None:
    if len(values) > MOST_STRINGS:
        raise InvalidParameterError(f"Invalid '{name}': {len(values)} are more than {MOST_STRINGS}.", param=name)
    for value in values:
        if not value:
            raise InvalidParameterError(f"Invalid '{name}': one of the strings is empty.", param=name)
        if len(value) > MOST_STRINGS:
            raise InvalidParameterError(
                f"Invalid '{name}': {value[:20]!r}… has more than {MOST_STRINGS} characters.", param=name
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerParams:
    """How tokens are chosen; None leaves a value to the model's defaults (`engine.api.sampling`).

    docs/python.md describes each. temperature 0 is greedy. A step is off with top_k 0, top_p 1, min_p 0, typical_p 1,
    top_a 0, top_n_sigma 0, epsilon_cutoff 0, eta_cutoff 0, xtc_probability 0, dynatemp_range 0, dry_multiplier 0,
    mirostat 0, repeat_penalty 1 and the penalties 0. repeat_last_n, dry_penalty_last_n: how many of the latest tokens
    (prompt included) the penalties and DRY look at; -1 is all. samplers: the steps in their order
    (`engine.api.samplers`); a step that is not among them is left out.

    Raises InvalidParameterError, with `param` naming the field.
    """

    temperature: float | None = None
    dynatemp_range: float | None = None
    dynatemp_exponent: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    top_a: float | None = None
    top_n_sigma: float | None = None
    epsilon_cutoff: float | None = None
    eta_cutoff: float | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    repeat_penalty: float | None = None
    repeat_last_n: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_penalty_last_n: int | None = None
    dry_sequence_breakers: tuple[str, ...] | None = None
    mirostat: int | None = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    samplers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in SAMPLER_BOUNDS.items():
            value = getattr(self, name)
            if value is not None:
                _within(name, value, low, high)
        if self.dry_sequence_breakers is not None:
            _check_strings("dry_sequence_breakers", self.dry_sequence_breakers)
        if self.samplers is not None:
            object.__setattr__(self, "samplers", sampler_names(self.samplers))


SAMPLER_BOUNDS: Mapping[str, tuple[float, float]] = {
    "temperature": (0.0, 100.0),
    "dynatemp_range": (0.0, 100.0),
    "dynatemp_exponent": (0.0, 100.0),
    "top_k": (0, 2**31 - 1),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "typical_p": (0.0, 1.0),
    "top_a": (0.0, 1.0),
    "top_n_sigma": (0.0, 100.0),
    "epsilon_cutoff": (0.0, 1.0),
    "eta_cutoff": (0.0, 1.0),
    "xtc_probability": (0.0, 1.0),
    "xtc_threshold": (0.0, 1.0),
    "repeat_penalty": (1e-3, 100.0),
    "repeat_last_n": (-1, 2**31 - 1),
    "frequency_penalty": (-100.0, 100.0),
    "presence_penalty": (-100.0, 100.0),
    "dry_multiplier": (0.0, 100.0),
    "dry_base": (1.0, 100.0),
    "dry_allowed_length": (0, 2**31 - 1),
    "dry_penalty_last_n": (-1, 2**31 - 1),
    "mirostat": (0, 2),
    "mirostat_tau": (0.0, 100.0),
    "mirostat_eta": (0.0, 1.0),
}
"""The least and the largest value of each number in SamplerParams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams(SamplerParams):
    """How tokens are chosen, and when a generation ends.

    logit_bias: what is added to the logits of tokens; a string means each of the tokens that it consists of; -inf
    excludes them. banned_strings: strings that the text never contains. max_tokens None: bounded by the context only.
    stop: strings that end the text and are not part of it. logprobs: None for none, else how many alternatives to
    report beside the chosen token (0 to 20). seed None: a fresh one for each request.

    Raises InvalidParameterError, with `param` naming the field.
    """

    logit_bias: Mapping[int, float] | Mapping[str, float] | Mapping[int | str, float] = field(default_factory=dict)
    banned_strings: tuple[str, ...] = ()
    seed: int | None = None
    max_tokens: int | None = None
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    stop_token_ids: frozenset[int] = frozenset()
    ignore_eos: bool = False
    logprobs: int | None = None

    def __post_init__(self) -> None:
        SamplerParams.__post_init__(self)
        _within("min_tokens", self.min_tokens, 0, 2**31 - 1)
        if self.max_tokens is not None:
            _within("max_tokens", self.max_tokens, 0, 2**31 - 1)
        if self.logprobs is not None:
            _within("logprobs", self.logprobs, 0, 20)
        if self.seed is not None:
            _within("seed", self.seed, -(2**63), 2**64 - 1)
        for token, bias in self.logit_bias.items():
            if bias != -math.inf:
                _within(f"logit_bias.{str(token)[:40]}", bias, -1e4, 1e4)
        _check_strings("logit_bias", [token for token in self.logit_bias if isinstance(token, str)])
        _check_strings("banned_strings", self.banned_strings)
        if sum(map(len, self.banned_strings)) > MOST_BANNED:
            raise InvalidParameterError(
                f"Invalid 'banned_strings': together they have more than {MOST_BANNED} characters.",
                param="banned_strings",
            )
        if any("\ufffd" in text for text in self.banned_strings):  # it stands for bytes that are no text
            raise InvalidParameterError(
                "Invalid 'banned_strings': U+FFFD, the replacement character, cannot be banned.", param="banned_strings"
            )
        if any(not s for s in self.stop):
            raise InvalidParameterError("Invalid 'stop': an empty string cannot end a text.", param="stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One sequence to generate: the only way into the engine.

    prompt_ids: at least one token; each is range-checked against the vocabulary by the engine.
    cache_prompt: share computed tokens with other requests. cache_scope: with those of the same scope only.
    prompt_logprobs: None, or how many alternatives to report for each prompt token (completions' `echo`).
    reader: makes the reader of the tokens, one for each generation. Its parts take the place of the events' text, and
    stop strings are its own business. constraint: what the completion may consist of, from its first token to its end;
    it comes from `compile_grammar` of the same engine. param: what the caller calls the prompt, for errors about it.
    """

    prompt_ids: tuple[int, ...]
    sampling: SamplingParams = field(default_factory=SamplingParams)
    priority: Priority = Priority.INTERACTIVE
    cache_prompt: bool = True
    cache_scope: str | None = None
    prompt_logprobs: int | None = None
    reader: Callable[[], Reader] | None = None
    constraint: Constraint | None = None
    param: str = "prompt"


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token's log-probability under the model's own distribution (before temperature and penalties).

    `piece`: the token's bytes. `top`: the most likely alternatives as (token id, piece, logprob), best first.
    """

    token_id: int
    piece: bytes
    logprob: float
    top: tuple[tuple[int, bytes, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """One step of one generation.

    text: whole characters that can no longer be part of a stop string; may be empty, and may lag behind the tokens.
    logprobs: for the tokens whose text this event releases, when asked for.
    finish_reason: set on the last event only. token_id None: the last event of a generation that ended without one.
    parts: what the request's reader made of the token. With a reader there is no text, and `logprobs` are the token's
    own, except that a token that ends a generation by being chosen has none.
    """

    token_id: int | None
    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    parts: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one generation; `cached_tokens` prompt tokens came from the prefix cache."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds spent waiting for a slot, in prefill (up to the first token: TTFT is queue + prefill) and in decode."""

    queue_s: float
    prefill_s: float
    decode_s: float


@dataclass(frozen=True, slots=True)
class EngineStatistics:
    """What the engine holds now and has done since it was opened.

    active: sequences in prefill or decode, of at most n_slots. waiting: requests without a slot yet, and all requests
    for vectors or scores, which take none. Both together are at most n_slots + max_waiting.
    The totals count requests that have ended (in any way), tokens of prompts and of texts for vectors or scores that
    were evaluated, prompt tokens taken from the prefix cache, tokens generated, those of them that were forced, steps,
    and how often a request was paused because the KV cache was full.
    """

    n_slots: int
    active: int
    waiting: int
    max_waiting: int
    n_pages: int
    free_pages: int
    requests_total: int = 0
    prompt_tokens_total: int = 0
    cached_tokens_total: int = 0
    generated_tokens_total: int = 0
    forced_tokens_total: int = 0
    steps_total: int = 0
    pauses_total: int = 0
