"""The options that say how tokens are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    pass

_ELSE = "the model's, else "


def _option(flag: str, metavar: str, text: str, default: str | bool) -> Any:
    return typer.Option(flag, metavar=metavar, help=text, show_default=default)


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """None: not given, so the defaults hold (SamplerSettings; a test compares what the help says of them)."""

    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", "-n", metavar="N", help="Longest answer in tokens.", show_default="the context"),
    ] = None
    temp: Annotated[
        float | None, _option("--temp", "X", "Temperature; 0 always takes the likeliest token.", _ELSE + "0.8")
    ] = None
    top_k: Annotated[int | None, _option("--top-k", "N", "Choose among the N likeliest; 0: all.", _ELSE + "40")] = None
    top_p: Annotated[
        float | None,
        _option("--top-p", "P", "Choose among the likeliest that together have this probability.", _ELSE + "0.95"),
    ] = None
    min_p: Annotated[
        float | None,
        _option("--min-p", "P", "Drop what is less likely than this share of the likeliest.", _ELSE + "0.05"),
    ] = None
    repeat_penalty: Annotated[
        float | None, _option("--repeat-penalty", "X", "Divide the odds of recent tokens; 1: off.", _ELSE + "1")
    ] = None
    repeat_last_n: Annotated[
        int | None, _option("--repeat-last-n", "N", "How many recent tokens penalties see; -1: all.", _ELSE + "64")
    ] = None
    frequency_penalty: Annotated[
        float | None, _option("--frequency-penalty", "X", "Subtracted for each time a token was used.", _ELSE + "0")
    ] = None
    presence_penalty: Annotated[
        float | None, _option("--presence-penalty", "X", "Subtracted once if a token was used.", _ELSE + "0")
    ] = None
    seed: Annotated[
        int | None,
        typer.Option("--seed", "-s", metavar="N", help="For a repeatable result.", show_default=False),
    ] = None

    def given(self) -> dict[str, Any]:
        """What was given, by the names of SamplingParams.

        Raises InvalidParameterError for a value out of range: before a large model is loaded.
        """
        from oxillama.engine.api.types import SamplingParams

        named = {
            "max_tokens": self.max_tokens,
            "temperature": self.temp,
            "top_k": self.top_k,
            "top_p": self.top_p,
            "min_p": self.min_p,
            "repeat_penalty": self.repeat_penalty,
            "repeat_last_n": self.repeat_last_n,
            "frequency_penalty": self.frequency_penalty,
            "presence_penalty": self.presence_penalty,
            "seed": self.seed,
        }
        found: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
        SamplingParams(**found)
        return found
