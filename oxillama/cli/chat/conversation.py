"""A running conversation: the engine, the screen, and the messages so far."""

from __future__ import annotations

from dataclasses import dataclass, field

import trio

from oxillama.chat.exchange import prepare
from oxillama.chat.options import ChatOptions
from oxillama.cli.chat.autosave import Autosave
from oxillama.cli.chat.plain import PlainScreen
from oxillama.cli.chat.screen import Screen
from oxillama.cli.chat.session import Message, Session
from oxillama.cli.shared.completion import Completion, complete, rate
from oxillama.engine.api.protocol import EngineLike
from oxillama.errors import ContextLengthError, OxillamaError

_SCOPE = "chat"
"""There is one conversation at a time, whose turns keep the tokens that the model wrote."""

MORE_ROOM = "/reset starts a new conversation, oxillama chat --ctx-size N gives more room"


@dataclass(slots=True)
class Chat:
    """A running conversation: the engine, the messages, and the screen (a plain one by default).

    autosave: saves the conversation after every answer; None: it is not saved. last: the latest answer. over: the
    conversation has ended. failed: a message or command failed. terminated: SIGTERM or SIGHUP ended the conversation.
    """

    engine: EngineLike
    session: Session = field(default_factory=Session)
    screen: Screen = field(default_factory=PlainScreen)
    autosave: Autosave | None = None
    last: Completion | None = None
    over: bool = False
    failed: bool = False
    terminated: bool = False
    _answering: trio.CancelScope | None = None

    def status(self) -> str:
        """One line: the model, the tokens used, and the speed of the last answer."""
        parts = [self.engine.model_name]
        if self.last is not None:
            parts.append(f"{self.last.usage.total_tokens} of {self.engine.n_ctx} tokens")
            speed = rate(len(self.last.ids) - 1, self.last.timings.decode_s)
            parts += [f"{speed:.1f} tokens/s"] if speed else []
        return " · ".join(parts)

    def interrupt(self) -> None:
        """Stop the current answer; without one, interrupt the prompt."""
        if self._answering is not None:
            self._answering.cancel()
        else:
            self.screen.interrupt()

    async def answer(self, text: str) -> None:
        """Answer one message. Both join the conversation, even if the answer was interrupted after some text.

        Raises OxillamaError; the conversation is then unchanged.
        """
        message, done = Message("user", text), Completion()
        with trio.CancelScope() as self._answering:
            try:
                exchange = await prepare(self.engine, self.session.as_messages(message), ChatOptions(), scope=_SCOPE)
                self.last = done
                request = exchange.request(self.session.settings.sampling())
                await complete(self.engine, done, request, self.screen)
            except ContextLengthError:
                n_ctx = self.engine.n_ctx
                raise OxillamaError(f"this no longer fits the context of {n_ctx} tokens: {MORE_ROOM}") from None
            except BaseException:
                if done.text or done.reasoning:
                    self.screen.end_answer()  # show all of the partial answer, so that the error gets its own line
                raise
            finally:
                self._answering = None
        self.screen.end_answer()
        if done.text or done.finish_reason is not None:
            self.session.messages += [message, Message("assistant", done.text, done.reasoning)]
            self._keep()
        if done.finish_reason is None:
            self.screen.notice("stopped")
        elif done.finish_reason == "length" and done.usage.total_tokens >= self.engine.n_ctx:
            self.screen.notice(f"the context of {self.engine.n_ctx} tokens is full, the answer ends here: {MORE_ROOM}")

    def begin(self, session: Session) -> None:
        """Switch to another conversation. The saved file of this one stays."""
        self.session, self.last = session, None
        if self.autosave is not None:
            self.autosave.begin()

    def _keep(self) -> None:
        if self.autosave is None:
            return
        problem = self.autosave.keep(self.session, self.engine.model_name)
        if problem is not None:
            self.autosave = None
            self.screen.notice(f"this conversation is not saved: {problem}")
