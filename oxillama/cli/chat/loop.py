"""The conversation itself: a message, an answer, a message; commands in between."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import trio

from oxillama.cli.chat.plain import PlainScreen
from oxillama.cli.chat.screen import Screen
from oxillama.cli.chat.session import Message, Session
from oxillama.cli.shared.completion import Completion, complete, rate
from oxillama.cli.shared.guard import describe
from oxillama.engine.api.protocol import EngineLike
from oxillama.engine.requests.prompts import chat_prompt
from oxillama.errors import ContextLengthError, EngineClosedError, OxillamaError

MORE_ROOM = "/reset starts anew, oxillama chat --ctx-size N gives more room"


@dataclass(slots=True)
class Chat:
    """A conversation with the engine that answers and the screen it is held on (a plain one, if no other is set).

    last: the latest answer. over: a command has ended the conversation. failed: something was refused on the way.
    """

    engine: EngineLike
    session: Session = field(default_factory=Session)
    screen: Screen = field(default_factory=PlainScreen)
    last: Completion | None = None
    over: bool = False
    failed: bool = False
    _answering: trio.CancelScope | None = None

    async def run(self) -> None:
        """Take turns until the input ends or a command ends it. Ctrl-C at the prompt raises KeyboardInterrupt."""
        if not self.screen.interactive:
            await self._turns()
            return
        with trio.open_signal_receiver(signal.SIGINT) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._heed, signals)
                await self._turns()
                nursery.cancel_scope.cancel()

    def status(self) -> str:
        """How things stand, in a line."""
        parts = [self.engine.model_name]
        if self.last is not None:
            parts.append(f"{self.last.usage.total_tokens} of {self.engine.n_ctx} tokens")
            speed = rate(len(self.last.ids) - 1, self.last.timings.decode_s)
            parts += [f"{speed:.1f} tokens/s"] if speed else []
        return " · ".join(parts)

    async def answer(self, text: str) -> None:
        """One turn. What was said is part of the conversation if it got an answer, or the beginning of one."""
        message, done = Message("user", text), Completion(())
        with trio.CancelScope() as self._answering:
            try:
                done.prompt_ids = await chat_prompt(self.engine, self.session.as_messages(message))
                self.last = done
                await complete(self.engine, done, self.session.settings.sampling(), self.screen.write)
            except ContextLengthError:
                n_ctx = self.engine.n_ctx
                raise OxillamaError(f"this does not fit the context of {n_ctx} tokens any more: {MORE_ROOM}") from None
            except BaseException:
                if done.text:
                    self.screen.end_answer()  # what came of it is shown, and the error has a line of its own
                raise
            finally:
                self._answering = None
        self.screen.end_answer()
        if done.text or done.finish_reason is not None:
            self.session.messages += [message, Message("assistant", done.text)]
        if done.finish_reason is None:
            self.screen.notice("stopped")
        elif done.finish_reason == "length" and done.usage.total_tokens >= self.engine.n_ctx:
            self.screen.notice(f"the context of {self.engine.n_ctx} tokens is full, the answer ends here: {MORE_ROOM}")

    async def _turns(self) -> None:
        while not self.over:
            try:
                text = await self.screen.read()
                if text is None:
                    return
                await self._take(text)
            except (EngineClosedError, BrokenPipeError):
                raise
            except (OxillamaError, OSError) as error:
                self.failed = True
                self.screen.error(describe(error))

    async def _take(self, text: str) -> None:
        """A message; or a command, which begins with one slash."""
        from oxillama.cli.chat.commands import run_command

        if text.startswith("/") and not text.startswith("//"):
            await run_command(self, text)
        elif text.strip():
            await self.answer(text[1:] if text.startswith("//") else text)

    async def _heed(self, signals: AsyncIterator[int]) -> None:
        """Ctrl-C: stop the answer; where there is none, leave the prompt."""
        async for _ in signals:
            if self._answering is not None:
                self._answering.cancel()
            else:
                self.screen.interrupt()
