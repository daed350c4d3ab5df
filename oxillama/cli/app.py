"""The command tree. Command modules import only what their signatures need; the rest is imported when they run."""

from __future__ import annotations

import inspect
import io
import os
import sys
from typing import Annotated

import typer

from oxillama._version import __version__
from oxillama.cli import streams
from oxillama.cli.chat.command import chat
from oxillama.cli.commands.bench.command import bench
from oxillama.cli.commands.data import data
from oxillama.cli.commands.embed import embed
from oxillama.cli.commands.imatrix import imatrix
from oxillama.cli.commands.info import info
from oxillama.cli.commands.perplexity import perplexity
from oxillama.cli.commands.quantize import quantize
from oxillama.cli.commands.run import run
from oxillama.cli.commands.serve import serve
from oxillama.cli.commands.tokenize import tokenize
from oxillama.cli.commands.transfer import export_threads, import_threads
from oxillama.cli.commands.version import version
from oxillama.cli.shared.guard import EXIT_USAGE, expected_errors, guarded, usage_refused

# Rich help would multiply the start-up time and draw boxes around errors that scripts read.
app = typer.Typer(
    name="oxillama",
    help="Run GGUF language models on this CPU, and serve them behind the OpenAI API.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    run, chat, serve, import_threads, export_threads, data, embed, info, tokenize, bench, quantize, imatrix, perplexity,
    version,
):  # fmt: skip
    # Pass the docstring's first paragraph explicitly: a summary that Typer derives itself is cut to the list's width.
    summary = (inspect.getdoc(command) or "").partition("\n\n")[0].replace("\n", " ")
    app.command(command.__name__.replace("_", "-"), short_help=summary)(guarded(command))


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"oxillama {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", "-V", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(EXIT_USAGE)


def main() -> None:
    """Entry point of the console script."""
    streams.secure()
    # Otherwise NumPy's BLAS starts a thread per core, and these spin for a while although there is no work for them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows ?, not a traceback
    with usage_refused(), expected_errors():
        status = app(prog_name="oxillama", standalone_mode=False)
        sys.stdout.flush()
    sys.exit(status)
