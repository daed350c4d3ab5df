"""oxillama chat: talk to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oxillama.cli.shared import options
from oxillama.cli.shared.prompt import argument_text

if TYPE_CHECKING:
    from oxillama.cli.chat.conversation import Chat
    from oxillama.cli.chat.screen import Screen


@options.with_groups
def chat(
    model: options.Model = None,
    system: Annotated[str, typer.Option(metavar="TEXT", help="The system prompt.", show_default=False)] = "",
    *,
    sampling: options.SamplingOptions,
    threads: options.Threads = None,
    processors: options.CpuAffinity = None,
    ctx_size: options.CtxSize = None,
    kv_type: options.KVType = "auto",
    no_history: Annotated[
        bool, typer.Option("--no-history", help="Save neither the input history nor the conversation.")
    ] = False,
) -> None:
    """Talk to a model on the terminal.

    Without a terminal, every line of standard input is a message.
    """
    given = sampling.given()
    path = options.model_or_embedded(model, "chat")

    import trio

    from oxillama.cli.chat.conversation import Chat
    from oxillama.cli.chat.loop import converse
    from oxillama.cli.chat.session import Session, Settings
    from oxillama.cli.shared.guard import EXIT_FAILED, EXIT_TERMINATED
    from oxillama.cli.shared.opened import opened

    async def main() -> Chat:
        async with opened(
            path, threads=threads, ctx_size=ctx_size, kv_type=kv_type, processors=processors
        ) as engine:
            talk = Chat(engine, Session(argument_text(system), Settings(**given)))
            _ = engine.tokenizer  # raises for a model without a vocabulary
            talk.screen = open_screen(talk, remember=not no_history)
            with talk.screen.held():
                if talk.screen.interactive:
                    begin(talk, remember=not no_history)
                try:
                    await converse(talk)
                finally:
                    if talk.autosave is not None and talk.autosave.path is not None:
                        talk.screen.notice("/load last brings this conversation back")
        return talk

    talk = trio.run(main)
    if talk.terminated:
        raise typer.Exit(EXIT_TERMINATED)
    if talk.failed and not talk.screen.interactive:
        raise typer.Exit(EXIT_FAILED)


def begin(talk: Chat, *, remember: bool) -> None:
    """Print the greeting, and save the conversation from now on if `remember` is true."""
    from oxillama.cli.chat.autosave import Autosave

    engine = talk.engine
    talk.screen.notice(f"{engine.model_name}, {engine.n_ctx} tokens of context; /help lists commands, /bye leaves")
    if engine.chat_template.source is None:
        talk.screen.notice("this model has no chat template: it may only continue texts and not answer")
    if remember:
        talk.autosave = Autosave()


def open_screen(talk: Chat, *, remember: bool) -> Screen:
    """The best screen that input and output allow."""
    import os
    import sys

    from oxillama.cli.chat.plain import PlainScreen

    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        return PlainScreen()
    try:
        from oxillama.cli.chat.terminal import TerminalScreen
    except ImportError:  # an installation without prompt-toolkit
        return PlainScreen()
    from oxillama.cli.chat.commands import COMMANDS
    from oxillama.cli.chat.history import open_history

    kept = open_history(talk.screen) if remember else None
    return TerminalScreen(kept, [(name, command.what) for name, command in COMMANDS.items()], talk.status)
