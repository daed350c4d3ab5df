"""The options for sampling."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oxillama.cli.shared.guard import usage_error

if TYPE_CHECKING:
    from oxillama.engine.api.types import SamplingParams

_ELSE = "the model's, else "


def checked_params(**given: Any) -> SamplingParams:
    """SamplingParams from the values of options. A value out of range ends the command with a line that names its
    option."""
    from oxillama.engine.api.types import SamplingParams
    from oxillama.errors import InvalidParameterError

    try:
        return SamplingParams(**given)
    except InvalidParameterError as error:
        option = "--temp" if error.param == "temperature" else f"--{error.param}".replace("_", "-")
        fault = str(error).removeprefix(f"Invalid '{error.param}': ").removesuffix(".")
        usage_error(f"{option}: {fault}")


def _option(flag: str, metavar: str, text: str, default: str | bool) -> Any:
    return typer.Option(flag, metavar=metavar, help=text, show_default=default)


@dataclass(frozen=True, kw_only=True)
class SamplerOptions:
    """How tokens are chosen. None: not given, so the default applies (SamplerSettings; a test compares the help)."""

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

    def given(self) -> dict[str, Any]:
        """The given options by their names in SamplingParams. A value out of range ends the command now, before a large
        model is loaded."""
        named = {"temperature" if name == "temp" else name: value for name, value in asdict(self).items()}
        found: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
        checked_params(**found)
        return found


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(SamplerOptions):
    """The options of SamplerOptions, and those for a single answer."""

    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", "-n", metavar="N", help="Longest answer in tokens.", show_default="the context"),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option("--seed", "-s", metavar="N", help="Seed for a repeatable result.", show_default=False),
    ] = None
