"""The options for samplers that are off by default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

ELSE = "the model's, else "


def option(flag: str, metavar: str, text: str, default: str | bool) -> Any:
    return typer.Option(flag, metavar=metavar, help=text, show_default=default)


@dataclass(frozen=True, kw_only=True)
class MoreSamplerOptions:
    """docs/python.md describes each."""

    dynatemp_range: Annotated[
        float | None,
        option("--dynatemp-range", "X", "The entropy moves the temperature by up to this; 0: off.", ELSE + "0"),
    ] = None
    dynatemp_exponent: Annotated[
        float | None, option("--dynatemp-exponent", "X", "How the entropy does that.", ELSE + "1")
    ] = None
    typical_p: Annotated[
        float | None,
        option(
            "--typical-p", "P", "Choose among the most typical that together have this probability; 1: off.", ELSE + "1"
        ),
    ] = None
    top_a: Annotated[
        float | None,
        option("--top-a", "X", "Drop what is less likely than this times the likeliest squared; 0: off.", ELSE + "0"),
    ] = None
    top_n_sigma: Annotated[
        float | None,
        option("--top-n-sigma", "X", "Keep logits this many standard deviations below the best; 0: off.", ELSE + "0"),
    ] = None
    epsilon_cutoff: Annotated[
        float | None, option("--epsilon-cutoff", "P", "Drop what is less likely than this; 0: off.", ELSE + "0")
    ] = None
    eta_cutoff: Annotated[
        float | None,
        option("--eta-cutoff", "P", "The same with a bound that falls with the entropy; 0: off.", ELSE + "0"),
    ] = None
    xtc_probability: Annotated[
        float | None,
        option("--xtc-probability", "P", "How often XTC drops all top choices but the last; 0: off.", ELSE + "0"),
    ] = None
    xtc_threshold: Annotated[
        float | None, option("--xtc-threshold", "P", "How likely a top choice of XTC is; above 0.5: off.", ELSE + "0.1")
    ] = None
    dry_multiplier: Annotated[
        float | None, option("--dry-multiplier", "X", "Penalty for continuing a repetition (DRY); 0: off.", ELSE + "0")
    ] = None
    dry_base: Annotated[
        float | None, option("--dry-base", "X", "Its growth with every repeated token.", ELSE + "1.75")
    ] = None
    dry_allowed_length: Annotated[
        int | None, option("--dry-allowed-length", "N", "Repeated tokens from which on it applies.", ELSE + "2")
    ] = None
    dry_penalty_last_n: Annotated[
        int | None, option("--dry-penalty-last-n", "N", "How many recent tokens DRY sees; -1: all.", ELSE + "64")
    ] = None
    dry_sequence_breakers: Annotated[
        list[str] | None,
        option(
            "--dry-sequence-breaker", "TEXT", "Repetitions end here; may be given more than once.", ELSE + r'\n : " *'
        ),
    ] = None
    mirostat: Annotated[
        int | None, option("--mirostat", "N", "Mirostat 1 or 2 instead of all filters; 0: off.", ELSE + "0")
    ] = None
    mirostat_tau: Annotated[
        float | None, option("--mirostat-tau", "X", "The surprise that mirostat aims at, in bits.", ELSE + "5")
    ] = None
    mirostat_eta: Annotated[
        float | None, option("--mirostat-eta", "X", "Mirostat's rate of learning.", ELSE + "0.1")
    ] = None
    samplers: Annotated[
        str | None,
        option("--samplers", "A;B", "The steps in their order, separated by semicolons.", ELSE + "all"),
    ] = None
