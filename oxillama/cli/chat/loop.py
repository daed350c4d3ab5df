"""The main loop of a conversation: messages, commands and signals."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator

import trio

from oxillama.cli.chat.commands import run_command
from oxillama.cli.chat.conversation import Chat
from oxillama.errors import EngineClosedError, OxillamaError, describe

HOW_TO_LEAVE = "to leave, press Ctrl-C once more or Ctrl-D, or type /bye"


async def converse(chat: Chat) -> None:
    """Answer messages and run commands until the input ends or a command ends the conversation.

    A second Ctrl-C at the prompt raises KeyboardInterrupt; without a terminal, the first one does.
    """
    if not chat.screen.interactive:
        await _read_all(chat)
        return
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_handle_signals, chat, signals)
            await _read_all(chat)
            nursery.cancel_scope.cancel()


async def _read_all(chat: Chat) -> None:
    # The first Ctrl-C at the prompt only warns: it may have been meant for an answer that had just ended.
    warned = False
    while not chat.over:
        try:
            text = await chat.screen.read()
            if text is None:
                return
            warned = False
            await _process(chat, text)
        except KeyboardInterrupt:
            if chat.terminated:
                return
            if warned or not chat.screen.interactive:
                raise
            warned = True
            chat.screen.notice(HOW_TO_LEAVE)
        except (EngineClosedError, BrokenPipeError):
            raise
        except (OxillamaError, OSError) as error:
            chat.failed = True
            chat.screen.error(describe(error))


async def _process(chat: Chat, text: str) -> None:
    """Run a command, which begins with one slash, or answer a message."""
    if text.startswith("/") and not text.startswith("//"):
        await run_command(chat, text)
    elif text.strip():
        await chat.answer(text[1:] if text.startswith("//") else text)


async def _handle_signals(chat: Chat, signals: AsyncIterator[int]) -> None:
    async for number in signals:
        chat.terminated = chat.over = chat.terminated or number != signal.SIGINT
        chat.interrupt()
