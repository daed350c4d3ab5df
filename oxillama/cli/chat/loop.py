"""A message, an answer, a message; commands in between, and keys that mean something at any time."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator

import trio

from oxillama.cli.chat.commands import run_command
from oxillama.cli.chat.conversation import Chat
from oxillama.cli.shared.guard import describe
from oxillama.errors import EngineClosedError, OxillamaError

HOW_TO_LEAVE = "to leave, press Ctrl-C once more or Ctrl-D, or type /bye"


async def converse(chat: Chat) -> None:
    """Take turns until the input or a command ends them.

    A second Ctrl-C at the prompt raises KeyboardInterrupt; without a terminal, the first one does.
    """
    if not chat.screen.interactive:
        await _take_turns(chat)
        return
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_heed, chat, signals)
            await _take_turns(chat)
            nursery.cancel_scope.cancel()


async def _take_turns(chat: Chat) -> None:
    warned = False  # one Ctrl-C too many, as after an answer that was over sooner, must not end the conversation
    while not chat.over:
        try:
            text = await chat.screen.read()
            if text is None:
                return
            warned = False
            await _take(chat, text)
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


async def _take(chat: Chat, text: str) -> None:
    """A message; or a command, which begins with one slash."""
    if text.startswith("/") and not text.startswith("//"):
        await run_command(chat, text)
    elif text.strip():
        await chat.answer(text[1:] if text.startswith("//") else text)


async def _heed(chat: Chat, signals: AsyncIterator[int]) -> None:
    async for number in signals:
        chat.terminated = chat.over = chat.terminated or number != signal.SIGINT
        chat.interrupt()
