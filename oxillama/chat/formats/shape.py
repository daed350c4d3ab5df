"""What a wire shape is: a way to write tool calls that several families share, with their own markers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from oxillama.chat.schemas import inline

if TYPE_CHECKING:
    from oxillama.chat.conversation import ToolCall
    from oxillama.chat.reply.calls import Calls
    from oxillama.chat.reply.events import Event, Parser
    from oxillama.chat.reply.markers import Markers
    from oxillama.chat.reply.turn import CallReader
    from oxillama.chat.schemas.grammar.context import Spacing
    from oxillama.chat.tools import Tool
    from oxillama.text import PromptText


class Shape(Protocol):
    """One wire shape with the markers of a family. A frozen dataclass: threads share it.

    Each is a `CallShape` or a `MessageShape`.
    """

    @property
    def name(self) -> str:
        """The shape's short name, such as "J"."""
        ...

    @property
    def one(self) -> bool:
        """Whether a reply has one call at most."""
        ...

    def texts(self) -> Sequence[str]:
        """The texts in its markers that may be special tokens of a vocabulary."""
        ...

    def write(self, calls: Sequence[ToolCall]) -> PromptText:
        """The calls as the model writes them. Markers are trusted; names and arguments are content."""
        ...

    def grammar(self, tools: Sequence[Tool], lark: Lark, *, parallel: bool = True) -> str:
        """Lark rules for llguidance. The rule `calls` is one or more calls of the tools and nothing else.

        parallel: False: exactly one call. Names of other rules begin with `call`. What the rules admit, the reader
        reads as calls.
        """
        ...

    def unenforced(self, tool: Tool) -> Sequence[tuple[str, str]]:
        """The keywords of the tool's schema that its grammar does not enforce, each after the pointer to its schema.

        Arguments that are JSON are left to the grammar of their schema, so they are not meant here.
        """
        ...


class CallShape(Shape, Protocol):
    """A shape of calls alone. Around them stands text, which any family's reply has."""

    def reader(self, markers: Markers) -> CallReader:
        """What reads the calls of a reply. markers: which of the texts are special tokens."""
        ...


@runtime_checkable
class MessageShape(Shape, Protocol):
    """A shape of whole replies: reasoning, answer and calls are messages, each with a header of its own."""

    def parser(
        self,
        markers: Markers,
        make_calls: Callable[[list[Event]], Calls],
        prompt_tail: str,
        *,
        tools: bool,
        splits: bool = True,
    ) -> Parser:
        """The parser of one reply.

        prompt_tail: the end of the prompt, after all content. tools: whether the request has tools. splits: whether
        reasoning is told apart from content.
        """
        ...


class Lark:
    """Writes pieces of Lark grammars for one vocabulary."""

    def __init__(self, markers: Markers) -> None:
        self._markers = markers

    def text(self, text: str) -> str:
        """The expression for a text: quoted, with special tokens by their ids."""
        parts: list[str] = []
        plain = ""
        for char in self._markers.encode(text):
            token_id = self._markers.ids.get(char)
            if token_id is None:
                plain += char
                continue
            parts += [json.dumps(plain, ensure_ascii=False), f"<[{token_id}]>"] if plain else [f"<[{token_id}]>"]
            plain = ""
        if plain:
            parts.append(json.dumps(plain, ensure_ascii=False))
        return " ".join(parts)

    def split(self, text: str) -> tuple[str, str]:
        """The text before the first special token in it, and the expression for the rest; "": there is none."""
        encoded = self._markers.encode(text)
        at = next((at for at, char in enumerate(encoded) if char in self._markers.ids), len(encoded))
        return encoded[:at], self.text(self._markers.spelled(encoded[at:]))

    def json(
        self, schema: Mapping[str, Any], *, spacing: Spacing = "spaced", lenient: bool = True, origin: str = ""
    ) -> str:
        """The expression for a JSON text that matches the schema; `schemas.resolved` writes its rules.

        spacing: white space between JSON's tokens. lenient: what a grammar cannot express is left out, else refused.
        origin: what errors call the schema.
        """
        return inline(schema, spacing=spacing, lenient=lenient, origin=origin)

    def arguments(self, tool: Tool) -> str:
        """The expression for the tool's arguments as a JSON object."""
        return self.json(parameters_of(tool), lenient=not tool.strict, origin=f"function '{tool.name}'")


def parameters_of(tool: Tool) -> Mapping[str, Any]:
    """The schema of a tool's arguments; that of an empty object if it takes none."""
    if tool.parameters is None:
        return {"type": "object", "properties": {}, "additionalProperties": False}
    return tool.parameters
