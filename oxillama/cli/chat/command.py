"""oxillama chat: talk to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oxillama.cli.shared import options
from oxillama.cli.shared.prompt import argument_text

if TYPE_CHECKING:
    from oxillama.cli.chat.loop import Chat
    from oxillama.cli.chat.screen import Screen


def chat(
    model: options.Model = None,
    system: Annotated[str, typer.Option(help="The system prompt.", show_default=False)] = "",
    max_tokens: options.MaxTokens = None,
    temp: options.Temp = 0.8,
    top_k: options.TopK = 40,
    top_p: options.TopP = 0.95,
    min_p: options.MinP = 0.05,
    repeat_penalty: options.RepeatPenalty = 1.0,
    repeat_last_n: options.RepeatLastN = 64,
    frequency_penalty: options.FrequencyPenalty = 0.0,
    presence_penalty: options.PresencePenalty = 0.0,
    seed: options.Seed = None,
    threads: options.Threads = None,
    ctx_size: options.CtxSize = None,
    kv_type: options.KVType = "auto",
    no_history: Annotated[bool, typer.Option("--no-history", help="Do not remember on disk what is typed.")] = False,
) -> None:
    """Talk to a model on the terminal. Without one, every line of standard input is a message."""
    from oxillama.cli.chat.session import Session, Settings

    settings = Settings(
        temperature=temp,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repeat_penalty=repeat_penalty,
        repeat_last_n=repeat_last_n,
        frequency_penalty=frequency_penalty,
        presence_penalty=presence_penalty,
        seed=seed,
        max_tokens=max_tokens,
    )
    settings.sampling()  # a value out of range is told before a large model is loaded
    path = options.model_or_embedded(model, "chat")

    import trio

    from oxillama.cli.chat.loop import Chat
    from oxillama.cli.shared.guard import EXIT_FAILED
    from oxillama.cli.shared.opened import opened

    async def main() -> Chat:
        async with opened(path, threads=threads, ctx_size=ctx_size, kv_type=kv_type) as engine:
            talk = Chat(engine, Session(argument_text(system), settings))
            _ = engine.tokenizer  # a model without a vocabulary is refused here
            talk.screen = open_screen(talk, remember=not no_history)
            if talk.screen.interactive:
                talk.screen.notice(f"{engine.model_name}, {engine.n_ctx} tokens of context; /help lists commands")
            with talk.screen.held():
                await talk.run()
        return talk

    talk = trio.run(main)
    if talk.failed and not talk.screen.interactive:
        raise typer.Exit(EXIT_FAILED)


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
