"""The parser of replies: reasoning between tags, content, and calls where their openers are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from oxillama.chat.reply.events import Content, Event, Reasoning
from oxillama.chat.reply.json_text import SPACE
from oxillama.chat.reply.parsing import SourceParser
from oxillama.chat.reply.source import Scanner

if TYPE_CHECKING:
    from oxillama.chat.reply.calls import Calls
    from oxillama.chat.reply.markers import Markers
    from oxillama.chat.reply.source import Source, Steps

_REREAD = 256
"""How many characters of what turned out not to be a call are searched for markers again: a bound keeps time linear."""


class CallReader(Protocol):
    """Reads calls from a reply. It has no state of its own: one serves all replies, in all threads.

    Texts are encoded by `Markers.encode`. openers: where calls begin anywhere in the content. at_line: openers that
    count only at the beginning of a line, as the spelled-out texts of special tokens do. bare: the characters with
    which calls without an opener begin; they count where nothing but white space was said yet. closers: markers that
    end calls; stray ones after a call are dropped. gap: how many newlines before an opener belong to it.
    """

    @property
    def openers(self) -> Sequence[str]: ...

    @property
    def at_line(self) -> Sequence[str]: ...

    @property
    def bare(self) -> str: ...

    @property
    def closers(self) -> Sequence[str]: ...

    @property
    def gap(self) -> int: ...

    def read(self, source: Source, calls: Calls, opener: str) -> Steps[bool]:
        """Read calls; the source stands after the opener (before the character, if it is a bare one).

        The source is marked before the opener. After each complete call, the reader marks it again (`source.mark()`).
        Returns False if what it has read since the mark is not a call: this becomes text. A call that has begun cannot
        be taken back: its arguments are completed (a reply that is cut off leaves them as they are), the call ends, the
        source is marked, and the reader returns; what follows is text.
        """
        ...


class Readers:
    """Several readers as one: the first that finds a call after an opener that it knows."""

    def __init__(self, readers: Sequence[CallReader]) -> None:
        self._readers = readers
        self.openers = tuple(dict.fromkeys(text for reader in readers for text in reader.openers))
        self.at_line = tuple(dict.fromkeys(text for reader in readers for text in reader.at_line))
        self.bare = "".join(reader.bare for reader in readers)
        self.closers = tuple(dict.fromkeys(text for reader in readers for text in reader.closers))
        self.gap = max(reader.gap for reader in readers)

    def read(self, source: Source, calls: Calls, opener: str) -> Steps[bool]:
        """See `CallReader`."""
        before, known = calls.count, len(source.since_mark())
        read = ""
        for reader in self._readers:
            if opener in reader.openers or opener in reader.at_line or opener in reader.bare:
                source.unread(read)
                if (yield from reader.read(source, calls, opener)):
                    return True
                read = source.since_mark()[known:]
                if calls.count > before or len(read) > _REREAD:
                    break
        return False


class TurnSyntax:
    """The markers of replies in one wire format and vocabulary. Threads may share it.

    reasoning, answer: pairs of encoded texts around the reasoning and the answer.
    """

    def __init__(
        self,
        markers: Markers,
        reader: CallReader,
        reasoning: Sequence[tuple[str, str]] = (),
        answer: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.markers = markers
        self.reader = reader
        self.thought_openers = frozenset(markers.encode(first) for first, _ in reasoning)
        self.thought_closers = frozenset(markers.encode(last) for _, last in reasoning)
        self.answer_openers = frozenset(markers.encode(first) for first, _ in answer)
        self.answer_closers = frozenset(markers.encode(last) for _, last in answer) - {""}
        own = [*self.thought_openers, *self.thought_closers, *self.answer_openers, *self.answer_closers]
        starts = frozenset([*reader.openers, *reader.at_line])
        self._scanners = {
            (False, False): Scanner(own, lead=1),
            (True, False): Scanner([*self.thought_openers, *self.thought_closers], lead=1),
            (False, True): Scanner([*own, *reader.openers], lead=reader.gap, at_line=reader.at_line),
            (True, True): Scanner([*self.thought_openers, *self.thought_closers, *reader.openers],
                                  lead=1, at_line=reader.at_line),
        }  # fmt: skip
        self.starts = starts
        self.after_call = (*reader.closers, *sorted(self.thought_closers))

    def scanner(self, thinking: bool, calls: bool) -> Scanner:
        return self._scanners[thinking, calls]


class TurnParser(SourceParser):
    """Reads a reply that consists of reasoning, content and calls (`Parser`)."""

    def __init__(self, syntax: TurnSyntax, make_calls: Callable[[list[Event]], Calls] | None, prompt_tail: str) -> None:
        """make_calls: None: calls are not looked for. prompt_tail: the end of the prompt, after all content."""
        super().__init__(syntax.markers)
        self._syntax = syntax
        self._calls = make_calls(self._events) if make_calls is not None else None
        self._blank = True  # nothing but white space was said since the beginning, the reasoning or a call
        self._closed = False  # reasoning has ended once
        self._trim = 0
        self._withheld: list[str] = []  # calls that may not be made, as long as nothing else was said
        self._said = False
        self._gap = ""  # what stood between a call and the text after it
        self._source.keeps = self._calls is not None and self._calls.muted
        self._begin_after(syntax.markers.encode(prompt_tail))
        self._run(self._read())

    def _begin_after(self, tail: str) -> None:
        """Take the state that the end of the prompt leaves: within reasoning, after it, or within a marker."""
        syntax = self._syntax
        places = [(tail.rfind(text), True, text) for text in syntax.thought_openers]
        places += [(tail.rfind(text), False, text) for text in syntax.thought_closers]
        at, opens, text = max(places, key=lambda place: (place[0], len(place[2])), default=(-1, False, ""))
        if at >= 0:
            rest = tail[at + len(text) :]
            newlines = len(rest) - len(rest.lstrip("\n"))
            self._thinking, self._closed = opens, not opens
            self._trim = max((1 if opens else 2) - newlines, 0)
            tail = rest[newlines:]
        scanner = syntax.scanner(self._thinking, self._calls is not None)
        begun = [text for text in (*scanner.prefixes, *syntax.starts) if text.strip("\n") and tail.endswith(text)]
        self._source.feed(max(begun, key=len, default=""))

    def _read(self) -> Steps[None]:
        source = self._source
        yield
        yield from self._skip_newlines(self._trim)
        bare = True
        while True:
            if bare and not self._thinking and self._blank and (yield from self._bare_calls()):
                yield from self._after_calls()
                continue
            bare = False
            scanner = self._syntax.scanner(self._thinking, self._calls is not None)
            marker = yield from source.until(scanner, self._say)
            if marker is None:
                return
            core = marker.lstrip("\n")
            newlines = marker[: len(marker) - len(core)]
            if core in self._syntax.starts and self._calls is not None:
                if (yield from self._call(core, newlines)):
                    yield from self._after_calls()
                    bare = True
            elif (yield from self._tag(core)):
                bare = self._blank
            else:
                self._say(newlines + core)

    def _tag(self, marker: str) -> Steps[bool]:
        """Take the marker as a tag, and return whether it is one here."""
        syntax = self._syntax
        special = "\ud800" <= marker[0] <= "\udfff"
        if marker in syntax.thought_closers and (self._thinking or self._blank or special or not self._closed):
            self._blank = self._blank or self._thinking
            self._thinking, self._closed = False, True
            yield from self._skip_newlines(2)
        elif marker in syntax.thought_openers and self._blank:
            self._thinking = True
            yield from self._skip_newlines(1)
        elif marker in syntax.answer_openers and (self._blank or special):
            yield from self._skip_newlines(1)
        else:
            return marker in syntax.answer_closers
        return True

    def _bare_calls(self) -> Steps[bool]:
        """Read calls that have no opener, or one at the beginning of a line, if they begin here after white space."""
        reader, source = self._syntax.reader, self._source
        if self._calls is None or not (reader.bare or reader.at_line):
            return False
        source.mark()
        char = yield from source.skip(SPACE)
        if char and char in reader.bare:
            return (yield from self._read_calls(char, "", 0))
        opener = yield from source.literal(*reader.at_line)
        if opener is None:
            source.rewind(0)
            source.unmark()
            return False
        return (yield from self._read_calls(opener, "", len(source.since_mark())))

    def _call(self, opener: str, newlines: str) -> Steps[bool]:
        self._source.mark(len(opener))
        return (yield from self._read_calls(opener, newlines, len(opener)))

    def _read_calls(self, opener: str, newlines: str, length: int) -> Steps[bool]:
        """Let the reader read calls. What is none becomes text. Returns whether there was a call."""
        source, calls = self._source, self._calls
        assert calls is not None
        before = calls.count
        done = yield from self._syntax.reader.read(source, calls, opener)
        marked = opener in self._syntax.starts and not opener.startswith("```")  # JSON and code may be answers as well
        if source.ended and source.truncated and not calls.muted and (marked or calls.count > before):
            while (yield from source.next()):  # the reader waited for more of a call when a limit ended the reply
                pass
            source.unmark()
            return done
        earlier, raw = source.before_mark(), source.since_mark()
        if done and calls.muted:
            self._withhold(newlines + earlier + raw)
        elif not done:
            if calls.count > before:
                self._begin_content()
                if calls.muted:
                    self._withhold(newlines + earlier)
                newlines, length = "", 0
            if len(raw) > _REREAD:
                self._say(newlines + raw)
            else:
                self._say(newlines + raw[:length])
                source.rewind(length)
            source.unmark()
            return False
        source.unmark()
        self._begin_content()
        return True

    def _begin_content(self) -> None:
        self._closed = self._closed or self._thinking
        self._thinking = False
        self._blank = True

    def _after_calls(self) -> Steps[None]:
        """Skip what stands between calls: white space, and stray closers."""
        source = self._source
        while True:
            skipped = yield from source.gather(SPACE)
            closer = yield from source.literal(*self._syntax.after_call)
            if self._calls is not None and self._calls.muted:
                self._withhold(skipped + (closer or ""))
            elif closer is None:
                self._gap = skipped
            if closer is None:
                return

    def _skip_newlines(self, most: int) -> Steps[None]:
        for _ in range(most):
            if (yield from self._source.peek()) != "\n":
                return
            yield from self._source.next()

    def _say(self, text: str) -> None:
        shown = self._syntax.markers.visible(text)
        if not shown:
            return
        if self._thinking:
            self._blank = self._blank and not shown.strip()
            self._events.append(Reasoning(shown))
            return
        if self._blank and shown.strip():
            before = "".join(self._withheld) + (self._gap if self._said else "")
            self._blank, self._said, self._gap = False, True, ""
            self._withheld.clear()
            shown = before + shown
        self._events.append(Content(shown))

    def _withhold(self, text: str) -> None:
        """Calls where none may be made: text like any other, unless the whole reply is nothing else."""
        shown = self._syntax.markers.visible(text)
        if self._said:
            self._events.append(Content(shown))
        else:
            self._withheld.append(shown)
