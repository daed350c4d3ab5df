"""The tokens of the model's own turns, kept for when a client sends these turns back.

A turn that is rendered from its message may have other tokens than the model chose: a template writes a space after a
colon in the arguments, or the tokenizer cuts the same text in another place. From there on nothing of the prompt is in
the prefix cache. So if a conversation goes on as it was left, the prompt gets the tokens of the turn, not new ones.

The conversation stays the same: the text before the turn is equal, the message is what the reply said, and the template
writes for it what the model wrote, but for white space.
"""

from __future__ import annotations

from array import array
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from oxillama.chat.reply.message import ReplyBuilder
from oxillama.text import PromptText

if TYPE_CHECKING:
    from oxillama.chat.conversation import Message
    from oxillama.engine.api.reading import Reader, Reading

MOST_KEPT = 1 << 24
"""How many characters and tokens of prompts and replies are kept for a model; the oldest go first."""

MOST_ALIKE = 8
"""How many turns that say the same at the same place are kept, each after another prompt; the oldest go first."""


class Vocabulary(Protocol):
    """`oxillama.text.Tokenizer`, as a replay uses it."""

    @property
    def n_vocab(self) -> int: ...
    def token_bytes(self, token_id: int, /) -> bytes: ...
    def token_text(self, token_id: int, /) -> str: ...
    def is_control(self, token_id: int, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt that the model answers. count: how many messages it was rendered from. scope: whose conversation it is.

    ids: its tokens.
    """

    text: PromptText
    ids: tuple[int, ...]
    count: int
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """The beginning of a prompt as tokens that the model has seen, and the text after them."""

    ids: tuple[int, ...]
    rest: PromptText

    def prompt(self, rest: Sequence[int], vocabulary: Vocabulary) -> tuple[int, ...] | None:
        """The prompt. rest: the tokens of `rest`. None: no control token separates the two, so they are cut anew."""
        return (*self.ids, *rest) if rest and vocabulary.is_control(rest[0]) else None


@dataclass(frozen=True, slots=True)
class _Turn:
    """One reply. ids: the tokens of its prompt and, from `start` on, of the reply itself."""

    asked: PromptText
    ids: array[int]
    start: int
    vocabulary: Vocabulary

    @property
    def size(self) -> int:
        return len(self.asked) + len(self.ids)


class Turns:
    """The turns that a model has written lately. Threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._turns: OrderedDict[tuple[str | None, int, str], list[_Turn]] = OrderedDict()
        self._places: Counter[tuple[str | None, int]] = Counter()  # how many keys there are at which place
        self._size = 0  # of all turns

    def keep(self, asked: Asked, ids: Sequence[int], message: Message, vocabulary: Vocabulary) -> None:
        """Keep a reply that the model ended itself. ids: its tokens without the one that ended it.

        The engine's thread calls it, so what it costs does not depend on how many turns are kept.
        """
        turn = _Turn(asked.text, array("i", (*asked.ids, *ids)), len(asked.ids), vocabulary)
        key = (asked.scope, asked.count, _summary(message))
        with self._lock:
            others = self._taken(key)
            alike = [*(other for other in others if other.asked != turn.asked), turn][-MOST_ALIKE:]
            self._turns[key] = alike  # the last one, because it was taken
            self._places[asked.scope, asked.count] += 1
            self._size += sum(turn.size for turn in alike)
            while self._size > MOST_KEPT:
                self._taken(next(iter(self._turns)))

    def _taken(self, key: tuple[str | None, int, str]) -> list[_Turn]:
        """The turns with a key, which are no longer kept."""
        gone = self._turns.pop(key, None)
        if gone is None:
            return []
        self._size -= sum(turn.size for turn in gone)
        place = key[:2]
        self._places[place] -= 1
        if not self._places[place]:
            del self._places[place]
        return gone

    def find(self, text: PromptText, messages: Sequence[Message], scope: str | None = None) -> Replay | None:
        """The longest beginning of a conversation's prompt that ends with a turn of the model."""
        for at in range(len(messages) - 1, -1, -1):
            if messages[at].role != "assistant":
                continue
            with self._lock:
                known = self._places[scope, at] > 0
                turns = self._turns.get((scope, at, _summary(messages[at])), []) if known else []
            for turn in turns:
                start = len(turn.asked)
                if not text.text.startswith(turn.asked.text) or text.beginning(start) != turn.asked:
                    continue
                end = _end_of(turn, text, start)
                if end is not None:
                    return Replay(tuple(turn.ids), text.after(end))
        return None


class KeepingReader:
    """A reader of one reply that also keeps it as a turn, if the model ends it."""

    def __init__(self, reader: Reader, keep: Callable[[Sequence[int], Message], None]) -> None:
        self._reader = reader
        self._keep = keep
        self._ids: list[int] = []
        self._builder = ReplyBuilder()

    def push(self, token_id: int) -> Reading:
        """See `engine.api.reading.Reader`."""
        self._ids.append(token_id)
        reading = self._reader.push(token_id)
        self._builder.add(reading.parts)
        return reading

    def end(self, truncated: bool) -> tuple[object, ...]:
        """See `engine.api.reading.Reader`."""
        parts = self._reader.end(truncated)
        self._builder.add(parts)
        if not truncated:
            self._keep(self._ids, self._builder.reply("stop").message)
        return parts


_known: WeakKeyDictionary[Any, Turns] = WeakKeyDictionary()


def turns_of(template: object) -> Turns:
    """The turns of the model with this template."""
    found = _known.get(template)
    return found if found is not None else _known.setdefault(template, Turns())


def _summary(message: Message) -> str:
    """What a message says. White space around texts does not count: clients send an empty content as null."""
    content = message.content if isinstance(message.content, str) else message.content.text
    calls = [(call.id, call.name, call.arguments) for call in message.tool_calls]
    return repr((content.strip(), message.reasoning.strip(), calls))


def _pieces(ids: Sequence[int], vocabulary: Vocabulary) -> list[tuple[str, bool]]:
    """The text of a reply without its white space: control tokens one by one, and the text between them."""
    found: list[tuple[str, bool]] = []
    plain = b""
    for token_id in (*ids, -1):
        if 0 <= token_id < vocabulary.n_vocab and not vocabulary.is_control(token_id):
            plain += vocabulary.token_bytes(token_id)
            continue
        text = "".join(plain.decode("utf-8", "replace").split())
        found += [(text, False)] if text else []
        plain = b""
        if 0 <= token_id < vocabulary.n_vocab:
            found.append(("".join(vocabulary.token_text(token_id).split()), True))
    return found


def _end_of(turn: _Turn, text: PromptText, at: int) -> int | None:
    """Where in the prompt the turn ends that begins at `at`, before what ends turns. None: it is written otherwise."""
    whole = text.text
    for piece, control in _pieces(turn.ids[turn.start :], turn.vocabulary):
        for char in piece:
            at = _skipped(whole, at)
            if not whole.startswith(char, at) or (control and text.is_content(at)):
                return None
            at += 1
    at = _skipped(whole, at)
    return at if at < len(whole) and not text.is_content(at) else None


def _skipped(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at
