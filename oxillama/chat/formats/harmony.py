"""The harmony format of gpt-oss: a reply is messages, each with a header that names its channel and its recipient."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxillama.chat.formats.json.arguments import CallBuilder, read_arguments
from oxillama.chat.formats.json.writing import arguments_text
from oxillama.chat.reply.events import Content, Event, Reasoning
from oxillama.chat.reply.json_text import SPACE
from oxillama.chat.reply.parsing import SourceParser
from oxillama.chat.reply.source import Scanner
from oxillama.text.prompt_text import PromptText, prompt_text

if TYPE_CHECKING:
    from oxillama.chat.conversation import ToolCall
    from oxillama.chat.formats.shape import Lark
    from oxillama.chat.reply.calls import Calls
    from oxillama.chat.reply.markers import Markers
    from oxillama.chat.reply.source import Steps
    from oxillama.chat.tools import Tool

START, CHANNEL, MESSAGE, CONSTRAIN = "<|start|>", "<|channel|>", "<|message|>", "<|constrain|>"
END, CALL, RETURN = "<|end|>", "<|call|>", "<|return|>"
MARKERS = (START, CHANNEL, MESSAGE, CONSTRAIN, END, CALL, RETURN)
_FUNCTIONS = "functions."
_MOST_HEADER = 300
# A header before its first marker: nothing else is held back until a channel is named.
_BEGINNING = re.compile(r"\s*[\w.:-]*\s*(?:t|to|to=[^\s\ud800-\udfff]*)?\s*")


@dataclass(frozen=True)
class Harmony:
    """Calls in messages to `functions.NAME`."""

    name: str = "harmony"
    one = True

    def texts(self) -> Sequence[str]:
        return MARKERS

    def write(self, calls: Sequence[ToolCall]) -> PromptText:
        parts: list[str | PromptText] = []
        for number, call in enumerate(calls):
            parts += [f"{START}assistant" if number else "", f" to={_FUNCTIONS}", PromptText.of_content(call.name)]
            parts += [
                f"{CHANNEL}commentary {CONSTRAIN}json{MESSAGE}",
                PromptText.of_content(arguments_text(call)),
                CALL,
            ]
        return prompt_text(*parts)

    def parser(
        self,
        markers: Markers,
        make_calls: Callable[[list[Event]], Calls],
        prompt_tail: str,
        *,
        tools: bool,
        splits: bool = True,
    ) -> HarmonyParser:
        return HarmonyParser(markers, make_calls, prompt_tail, tools=tools, splits=splits)

    def grammar(self, tools: Sequence[Tool], lark: Lark, *, parallel: bool = True) -> str:
        """One call: the token after it ends the reply."""
        channel = f'{lark.text(CHANNEL)} ("commentary" | "analysis")'
        json = f'(" "? {lark.text(CONSTRAIN)} "json" | " json")?'
        rules = [f"calls: {' | '.join(f'call_{number}' for number in range(len(tools)))}"]
        for number, tool in enumerate(tools):
            to = lark.text(f" to={_FUNCTIONS}{tool.name}")
            rules += [
                f"call_{number}: ({to} {channel} | {channel} {to}) {json} {lark.text(MESSAGE)} call_{number}_arguments",
                f"call_{number}_arguments: {lark.arguments(tool)}",
            ]
        return "\n".join(rules)

    def unenforced(self, tool: Tool) -> Sequence[tuple[str, str]]:
        return ()  # all arguments are JSON


class HarmonyParser(SourceParser):
    """Reads a reply in the harmony format (`Parser`)."""

    def __init__(
        self,
        markers: Markers,
        make_calls: Callable[[list[Event]], Calls],
        prompt_tail: str,
        *,
        tools: bool,
        splits: bool = True,
    ) -> None:
        """See `MessageShape.parser`."""
        super().__init__(markers)
        self._splits = splits
        self._markers = markers
        self._calls = make_calls(self._events)
        self._has_tools = tools
        encode = markers.encode
        self._message, self._channel, self._start = encode(MESSAGE), encode(CHANNEL), encode(START)
        self._constrain = encode(CONSTRAIN)
        self._ends = (encode(END), encode(CALL), encode(RETURN))
        self._body = Scanner([*self._ends, self._start, self._channel, self._message])
        self._thought = Scanner([*self._ends, self._start, self._channel, self._message], lead=1)
        self._header = Scanner([*self._ends, self._start, self._message])
        self._stops = "".join(markers.chars.values())
        self._withheld: list[str] = []
        self._said: set[type[Event]] = set()
        self._fresh = True  # nothing of this message was said yet
        tail = encode(prompt_tail)
        begun = tail.rfind(self._start)
        self._source.feed(tail[begun + len(self._start) :] if begun >= 0 else "")
        self._run(self._read())

    def _read(self) -> Steps[None]:
        yield
        header = ""
        while True:
            whole = yield from self._read_header(header)
            if whole is None:
                return
            recipient, channel = self._parsed(whole)
            name = self._called(recipient)
            self._thinking = channel == "analysis" and recipient is None and self._splits
            self._fresh = True
            if name is not None:
                yield from self._call(name)
            shown = recipient is None or recipient.startswith(_FUNCTIONS)
            emit = self._say if recipient is None else self._withhold if shown else _swallow
            marker: str | None = self._message
            while marker == self._message:  # a doubled one
                marker = yield from self._source.until(self._thought if self._thinking else self._body, emit)
                marker = marker and marker.lstrip("\n")
            if marker is None:
                return
            self._thinking = False
            header = marker if marker == self._channel else ""

    def _read_header(self, header: str) -> Steps[str | None]:
        """Read up to the body and return what stands there; None: the reply has ended."""
        source = self._source
        while True:
            if self._channel not in header and (
                len(header) > _MOST_HEADER or not _BEGINNING.fullmatch(header.replace(self._constrain, ""))
            ):
                source.unread(header.removeprefix("assistant").lstrip("\n"))  # text without a header
                return ""
            marker = yield from source.literal(self._message, self._start, *self._ends)
            if marker == self._message:
                return header
            if marker is not None:
                header = ""  # an empty message, or the beginning of the next
                continue
            if len(header) > _MOST_HEADER and self._channel in header:
                return header
            char = yield from source.next()
            if not char:
                rest = self._markers.visible(header).removeprefix("assistant")
                if self._channel not in header and rest.strip() and not source.truncated:
                    self._say(rest)
                return None
            header += char

    def _parsed(self, header: str) -> tuple[str | None, str]:
        """The recipient, if it is another than the user, and the channel. Of several, the last ones count."""
        plain = header.replace(self._constrain, " ")
        channels = re.findall(re.escape(self._channel) + r"\s*(\w+)", plain)
        found = re.findall(r"to=([^\s\ud800-\udfff<]+)", plain)
        recipients = [recipient for recipient in found if recipient not in ("assistant", "user", "all")]
        return (recipients[-1] if recipients else None), (channels[-1] if channels else "final")

    def _called(self, recipient: str | None) -> str | None:
        """The offered tool that the recipient names."""
        names = () if recipient is None else (recipient.removeprefix(_FUNCTIONS), recipient)
        return next((name for name in names if self._calls.offers(name) and not self._calls.muted), None)

    def _call(self, name: str) -> Steps[None]:
        """Read a call's arguments. What is not one is left for the text."""
        source = self._source
        build = CallBuilder(self._calls)
        build.name = name
        source.mark()
        char = yield from source.skip(SPACE)
        if char == "{":
            build.complete = yield from read_arguments(source, build, self._markers.visible, self._stops)
            build.finish(complete=build.complete or not (source.ended and source.truncated))
        elif not char or char in self._stops or (yield from source.literal(*self._ends)) is not None:
            build.finish(complete=bool(char) or not source.truncated)
            source.rewind(0)
        else:
            source.rewind(0)
        source.unmark()

    def _say(self, text: str) -> None:
        shown = self._markers.visible(text)
        if not shown:
            return
        kind = Reasoning if self._thinking else Content
        if self._fresh:
            self._fresh = False
            gap = "\n\n" if kind in self._said else ""
            shown = (gap if self._thinking else "".join(self._withheld) + gap) + shown
            self._withheld.clear()
            self._said.add(kind)
        self._events.append(kind(shown))

    def _withhold(self, text: str) -> None:
        """A call that may not be made is content; nothing if no tool may be called and the reply is nothing else."""
        shown = self._markers.visible(text)
        if self._calls.muted and self._has_tools and Content not in self._said:
            self._withheld.append(shown)
        else:
            self._say(shown)


def _swallow(text: str) -> None:
    """A message to a tool of the model's own, such as a browser, is not shown."""
