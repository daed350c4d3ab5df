"""The wire format of a model: how it writes its reasoning, its answer and its calls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from oxillama.chat.formats.shape import CallShape, Lark, MessageShape
from oxillama.chat.reply.calls import Calls, MakeId, made_id, short_id
from oxillama.chat.reply.markers import Markers, Vocabulary
from oxillama.chat.reply.turn import Readers, TurnParser, TurnSyntax
from oxillama.chat.schemas import SchemaError, resolved
from oxillama.chat.tools import ToolChoice

if TYPE_CHECKING:
    from oxillama.chat.conversation import ToolCall
    from oxillama.chat.reply.events import Event, Parser
    from oxillama.chat.reply.turn import CallReader
    from oxillama.chat.tools import Tool
    from oxillama.text import PromptText

Ids = Literal["made", "short", "index", "functions"]
"""The form of calls' ids: "made": `call_` and 24 characters; "short": nine letters and digits; "index": "0", "1", …;
"functions": `functions.NAME:INDEX`. The index counts over the conversation."""

_TAIL = 256
_TOKENS = re.compile(r"<[^<>\s]+>")


@dataclass(frozen=True, slots=True)
class Tags:
    """The two texts around a part of a reply."""

    open: str
    close: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What families of models have in common or not, as data.

    shape: how calls are written. reasoning: the tags around reasoning, the family's own first; others are read as well.
    answer: tags around the answer, which are dropped. stops: tokens that end the reply, besides the vocabulary's own.
    native: whether the template shows tools to the model; if not, a system text has to, and to ask for the shape. also:
    other shapes that are read.
    """

    name: str
    shape: CallShape | MessageShape
    reasoning: tuple[Tags, ...] = ()
    answer: tuple[Tags, ...] = ()
    ids: Ids = "made"
    stops: tuple[str, ...] = ()
    native: bool = True
    also: tuple[CallShape, ...] = ()

    @property
    def headed(self) -> bool:
        """Whether each part of a reply has a header of its own, as answers and calls of other families do not."""
        return isinstance(self.shape, MessageShape)

    def texts(self) -> Sequence[str]:
        """All texts that may be special tokens."""
        tags = [text for tags in (*self.reasoning, *self.answer) for text in (tags.open, tags.close)]
        # A tag may be a token and a word.
        tags += [token for text in tags for token in _TOKENS.findall(text)]
        return [*self.shape.texts(), *(text for shape in self.also for text in shape.texts()), *tags]


class WireFormat:
    """A family's format, with the special tokens of one model's vocabulary. Threads may share it."""

    def __init__(self, family: Family, vocabulary: Vocabulary | None) -> None:
        """vocabulary: None: no marker is a special token."""
        self.family = family
        self._vocabulary = vocabulary
        self.markers = Markers(family.texts(), vocabulary)

    def parser(
        self,
        tools: Sequence[Tool] = (),
        choice: ToolChoice | None = None,
        *,
        prompt_tail: str = "",
        first_index: int = 0,
    ) -> Parser:
        """The parser of one reply.

        choice: which of the tools may be called; None: all. Text that calls another one is content. If none may be
        called, calls are content, and nothing at all if the reply consists of nothing else. prompt_tail: see
        `prompt_tail`. first_index: how many calls the conversation has already, for ids that count them.
        """
        choice = choice or ToolChoice()
        allowed = choice.allowed(tools)
        muted = not allowed

        def calls(events: list[Event]) -> Calls:
            return Calls(events, tools if muted else allowed, self._make_id(first_index), muted=muted)

        shape = self.family.shape
        if isinstance(shape, MessageShape):
            splits = bool(self.family.reasoning)
            return shape.parser(self.markers, calls, prompt_tail, tools=bool(tools), splits=splits)
        return TurnParser(self._syntax, calls if tools else None, prompt_tail)

    @cached_property
    def unsplit(self) -> WireFormat:
        """The same without reasoning: its tags and its text are content."""
        return WireFormat(replace(self.family, reasoning=()), self._vocabulary)

    def write(self, calls: Sequence[ToolCall]) -> PromptText:
        """The calls as the model writes them, for the history. Not for an empty list."""
        return self.family.shape.write(calls)

    def grammar(self, tools: Sequence[Tool], *, parallel: bool = True) -> str:
        """Lark rules whose rule `calls` is one or more calls of the tools (see `Shape.grammar`).

        Raises SchemaError for a strict tool whose arguments cannot be held to its schema.
        """
        shape = self.family.shape
        for tool in tools:
            for path, keyword in shape.unenforced(tool) if tool.strict else ():
                reason = "cannot be enforced in the form in which this model writes calls"
                raise SchemaError(keyword, path, reason, f"function '{tool.name}'")
            if tool.strict:  # tags hold values whose schemas are written one by one
                resolved(self.lark.arguments(tool), "checked")
        return resolved(shape.grammar(tools, self.lark, parallel=parallel), "call_json")

    @cached_property
    def lark(self) -> Lark:
        return Lark(self.markers)

    @cached_property
    def readers(self) -> Sequence[CallReader]:
        """What reads the calls in a reply's text. None: calls are not in the text, but messages of their own."""
        shape = self.family.shape
        shapes = () if isinstance(shape, MessageShape) else (shape, *self.family.also)
        return [shape.reader(self.markers) for shape in shapes]

    @cached_property
    def _syntax(self) -> TurnSyntax:
        family, readers = self.family, self.readers
        return TurnSyntax(
            self.markers,
            readers[0] if len(readers) == 1 else Readers(readers),
            [(tags.open, tags.close) for tags in family.reasoning],
            [(tags.open, tags.close) for tags in family.answer],
        )

    def _make_id(self, first: int) -> MakeId:
        match self.family.ids:
            case "made":
                return made_id
            case "short":
                return short_id
            case "index":
                return lambda index, name: str(first + index)
            case "functions":
                return lambda index, name: f"functions.{name}:{first + index}"


def prompt_tail(prompt: PromptText) -> str:
    """The end of a prompt that its template wrote after all content: there begins or has ended the reasoning."""
    start = prompt.content[-1][1] if prompt.content else 0
    return prompt.text[max(start, len(prompt.text) - _TAIL) :]
