"""The options for sampling."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oxillama.cli.shared.guard import usage_error
from oxillama.cli.shared.options.samplers import ELSE, MoreSamplerOptions, option
from oxillama.cli.shared.prompt import argument_text

if TYPE_CHECKING:
    from oxillama.engine.api.types import SamplingParams


def checked_params(**given: Any) -> SamplingParams:
    """SamplingParams from the values of options. A value out of range ends the command with a line that names its
    option."""
    from oxillama.engine.api.types import SamplingParams
    from oxillama.errors import InvalidParameterError

    try:
        return SamplingParams(**given)
    except InvalidParameterError as error:
        name = (error.param or "").partition(".")[0]
        option = _OPTIONS.get(name, f"--{name}".replace("_", "-"))
        fault = str(error).removeprefix(f"Invalid '{error.param}': ").removesuffix(".")
        usage_error(f"{option}: {fault}")


_OPTIONS = {
    "temperature": "--temp",
    "dry_sequence_breakers": "--dry-sequence-breaker",
    "banned_strings": "--banned-string",
}
"""Parameters whose options have other names."""


@dataclass(frozen=True, kw_only=True)
class UsualSamplerOptions:
    """The options for samplers that most requests use."""

    temp: Annotated[
        float | None, option("--temp", "X", "Temperature; 0 always takes the likeliest token.", ELSE + "0.8")
    ] = None
    top_k: Annotated[int | None, option("--top-k", "N", "Choose among the N likeliest; 0: all.", ELSE + "40")] = None
    top_p: Annotated[
        float | None,
        option("--top-p", "P", "Choose among the likeliest that together have this probability.", ELSE + "0.95"),
    ] = None
    min_p: Annotated[
        float | None,
        option("--min-p", "P", "Drop what is less likely than this share of the likeliest.", ELSE + "0.05"),
    ] = None
    repeat_penalty: Annotated[
        float | None, option("--repeat-penalty", "X", "Divide the odds of recent tokens; 1: off.", ELSE + "1")
    ] = None
    repeat_last_n: Annotated[
        int | None, option("--repeat-last-n", "N", "How many recent tokens penalties see; -1: all.", ELSE + "64")
    ] = None
    frequency_penalty: Annotated[
        float | None, option("--frequency-penalty", "X", "Subtracted for each time a token was used.", ELSE + "0")
    ] = None
    presence_penalty: Annotated[
        float | None, option("--presence-penalty", "X", "Subtracted once if a token was used.", ELSE + "0")
    ] = None


@dataclass(frozen=True, kw_only=True)
class SamplerOptions(MoreSamplerOptions, UsualSamplerOptions):
    """How tokens are chosen. None: not given, so the default applies (SamplerSettings; a test compares the help)."""

    def given(self) -> dict[str, Any]:
        """The given options by their names in SamplingParams. A value out of range ends the command now, before a large
        model is loaded."""
        named = {"temperature" if name == "temp" else name: value for name, value in asdict(self).items()}
        found: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
        for name in ("dry_sequence_breakers", "banned_strings"):
            if name in found:
                found[name] = tuple(map(argument_text, found[name]))
        if "samplers" in found:
            found["samplers"] = checked_order(found["samplers"])
        checked_params(**found)
        return found


def checked_order(text: str) -> tuple[str, ...]:
    """The samplers of an option. An unknown one ends the command."""
    from oxillama.engine.api.samplers import sampler_order
    from oxillama.errors import InvalidParameterError

    try:
        return sampler_order(text)
    except InvalidParameterError as error:
        fault = str(error).removeprefix("Invalid 'samplers': ").removesuffix(".")
        usage_error(f"--samplers: {fault}")


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(SamplerOptions):
    """The options of SamplerOptions, and those for a single answer."""

    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", "-n", metavar="N", help="Longest answer in tokens.", show_default="the context"),
    ] = None
    banned_strings: Annotated[
        list[str] | None,
        option("--banned-string", "TEXT", "The answer never contains this; may be given more than once.", False),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option("--seed", "-s", metavar="N", help="Seed for a repeatable result.", show_default=False),
    ] = None
