"""The terminal screen: multi-line editing, history, completion of commands, and a status line."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.filters import is_searching
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.styles import Style
from rich.console import Console

from oxillama.cli.chat.screen import is_open, unquoted
from oxillama.cli.shared.guard import one_line
from oxillama.cli.shared.terminal.answer import TerminalAnswer
from oxillama.cli.shared.terminal.modes import changed, echo_off, end_off
from oxillama.cli.shared.terminal.visible import visible
from oxillama.concurrency import in_thread

if TYPE_CHECKING:
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyPressEvent

_STYLE = Style.from_dict({"prompt": "ansigreen bold", "bottom-toolbar": "noreverse ansibrightblack"})
_PROMPT = FormattedText([("class:prompt", "> ")])
_CONTINUED = FormattedText([("class:prompt", "… ")])


class _NoMessage(enum.Enum):
    """Why the prompt ended without a message."""

    INTERRUPTED = enum.auto()
    ENDED = enum.auto()


class TerminalScreen:
    """Enter sends a message. Alt-Enter, and Enter in an open block, begin a new line."""

    interactive = True

    def __init__(self, history: History | None, commands: Iterable[tuple[str, str]], status: Callable[[], str]) -> None:
        """history: earlier input; None: input is kept only for this chat.

        commands: names and descriptions, for completion. status: gives the text of the status line.
        """
        self._prompt: PromptSession[str] = PromptSession(
            history=history,
            key_bindings=_bindings(),
            multiline=True,
            completer=_Commands(commands),
            complete_in_thread=False,
            style=_STYLE,
            prompt_continuation=_CONTINUED,
            bottom_toolbar=lambda: FormattedText([("class:bottom-toolbar", one_line(status()))]),
        )
        self._interrupted = False
        self._errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=not sys.stderr.isatty())
        self._answer = TerminalAnswer()
        self._line_open = False

    def held(self) -> AbstractContextManager[None]:
        # Between two prompts the terminal collects lines for the next prompt, which shows them. Ctrl-D would end such a
        # line without becoming a character of it, so it is turned off.
        return changed(sys.stdin.fileno(), echo_off, end_off)

    async def read(self) -> str | None:
        # prompt-toolkit needs its own event loop, so it runs in a thread.
        text = await in_thread(self._ask)
        if text is _NoMessage.INTERRUPTED:
            raise KeyboardInterrupt
        return None if isinstance(text, _NoMessage) else unquoted(text)

    def interrupt(self) -> None:
        self._interrupted = True
        loop = self._prompt.app.loop
        if loop is not None:
            loop.call_soon_threadsafe(self._give_up)

    def write(self, piece: str) -> None:
        self._show(self._answer.write(piece))

    def think(self, piece: str) -> None:
        self._show(self._answer.think(piece))

    def call(self, name: str, arguments: str) -> None:
        self._show(self._answer.call(name, arguments))

    def end_answer(self) -> None:
        self._show(self._answer.finish())
        self._answer = TerminalAnswer()
        self._show("\n\n" if self._line_open else "\n")

    def say(self, text: str) -> None:
        print(visible(text), flush=True)

    def notice(self, text: str) -> None:
        self._errors.print(one_line(text), style="dim")

    def error(self, text: str) -> None:
        self._errors.print(one_line(text), style="red")

    def _show(self, text: str) -> None:
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()
            self._line_open = not text.endswith("\n")

    def _ask(self) -> str | _NoMessage:
        """Prompt for a message. Runs in a worker thread."""
        try:
            return self._prompt.prompt(_PROMPT, pre_run=self._give_up_if_interrupted)
        except KeyboardInterrupt:
            return _NoMessage.INTERRUPTED
        except EOFError:
            return _NoMessage.ENDED

    def _give_up_if_interrupted(self) -> None:
        if self._interrupted:  # before the prompt was running
            self._give_up()

    def _give_up(self) -> None:
        app = self._prompt.app
        if app.is_running and not app.is_done:
            self._interrupted = False
            app.exit(exception=KeyboardInterrupt())


def _bindings() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter", filter=~is_searching)
    def send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_open(buffer.text):
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-c", filter=~is_searching)
    def clear_or_leave(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt())

    return keys


class _Commands(Completer):
    """Completes commands at the beginning of a message, and file names after commands that take one."""

    def __init__(self, commands: Iterable[tuple[str, str]]) -> None:
        self._commands = tuple(commands)
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        if not text.startswith("/") or "\n" in text:
            return
        name, space, rest = text.partition(" ")
        if space and name in ("/save", "/load"):
            if name == "/load" and rest and "last".startswith(rest):
                yield Completion("last", start_position=-len(rest), display_meta="the last saved conversation")
            yield from self._paths.get_completions(Document(rest), complete_event)
        elif not space:
            for command, what in self._commands:
                if command.startswith(name):
                    yield Completion(command, start_position=-len(name), display_meta=what)
