"""Options that several commands share, defined once so that they read and behave alike."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from oxillama.cli.shared.guard import usage_error

NO_MODEL = "no model is named: add --model FILE with the path of a GGUF file, or set OXILLAMA_MODEL"

Model = Annotated[
    Path | None,
    typer.Option(
        "--model", "-m", metavar="FILE", envvar="OXILLAMA_MODEL", show_default=False, help="The GGUF file to use."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", "-t", min=1, max=1024, show_default="one per core", help="Threads that compute."),
]
CtxSize = Annotated[
    int | None,
    typer.Option("--ctx-size", "-c", min=1, show_default="the model's, within reason", help="Tokens of context."),
]
Temp = Annotated[float, typer.Option("--temp", help="Temperature; 0 always takes the likeliest token.")]
TopK = Annotated[int, typer.Option(help="Choose among the K likeliest; 0: all.")]
TopP = Annotated[float, typer.Option(help="Choose among the likeliest that together have this probability.")]
MinP = Annotated[float, typer.Option(help="Drop what is less likely than this share of the likeliest.")]
RepeatPenalty = Annotated[float, typer.Option(help="Divide the odds of recent tokens; 1: off.")]
RepeatLastN = Annotated[int, typer.Option(help="How many recent tokens penalties see; -1: all.")]
FrequencyPenalty = Annotated[float, typer.Option(help="Subtracted for each time a token was used.")]
PresencePenalty = Annotated[float, typer.Option(help="Subtracted once if a token was used.")]
Seed = Annotated[int | None, typer.Option("--seed", "-s", help="For a repeatable result.", show_default=False)]
MaxTokens = Annotated[
    int | None, typer.Option("--max-tokens", "-n", min=0, help="Stop after so many.", show_default="the context")
]
KVType = Annotated[
    Literal["auto", "f32", "f16", "i16", "q8_0"],
    typer.Option(help="What keys and values are kept as; q8_0 takes half the memory of f16 and i16."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Special = Annotated[
    bool, typer.Option("--special", help="Let special tokens written out in the text stand for themselves.")
]


def require_model(model: Path | None) -> Path:
    """The model to use, or the end of the command with a line that says how to name one."""
    if model is None:
        usage_error(NO_MODEL)
    return model


def model_or_embedded(model: Path | None, command: str) -> Path:
    """The model to use; without one the embedded model, after a line on stderr that says so and how to have another.

    Raises FileNotFoundError, which says what to do, where this installation came without it.
    """
    if model is not None:
        return model
    from oxillama.embedded import model_path, notice

    path = model_path()
    print(f"oxillama: {notice(command)}", file=sys.stderr, flush=True)
    return path
