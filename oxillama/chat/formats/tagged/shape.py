"""Calls as tags with one element per argument, laid out as a family's template writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxillama.chat.formats.members import members_of, text_of
from oxillama.chat.formats.shape import Lark
from oxillama.chat.formats.tagged.grammar import TaggedGrammar
from oxillama.chat.formats.tagged.layout import FIELD, TaggedLayout
from oxillama.chat.formats.tagged.reader import CDATA, CDATA_END, TaggedReader
from oxillama.chat.reply.markers import Markers
from oxillama.chat.values.kinds import kind_of_json
from oxillama.text.prompt_text import PromptText, prompt_text

if TYPE_CHECKING:
    from oxillama.chat.conversation import ToolCall
    from oxillama.chat.reply.turn import CallReader
    from oxillama.chat.tools import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged(TaggedLayout):
    """Shapes XE, XA, KV and K3: a layout of tags."""

    def write(self, calls: Sequence[ToolCall]) -> PromptText:
        pieces: list[str | PromptText] = [self.section.open]
        for index, call in enumerate(calls, 1):
            pieces += [self.between if index > 1 else "", self.wrap.open]
            pieces += _filled(self.call.open, name=call.name, index=str(index))
            for key, value in members_of(call.arguments):
                kind = kind_of_json(value)
                string = "true" if kind == "string" else "false"
                pieces += _filled(self.parameter.open + self.key_end, key=key, type=kind, string=string)
                pieces += [*self._written(text_of(value)), self.parameter.close]
            pieces += [self.call.close, self.wrap.close]
        return prompt_text(*pieces, self.section.close) if calls else PromptText("")

    def _written(self, text: str) -> list[str | PromptText]:
        if not self.character_data or not ("<" in text or "&" in text):
            return [PromptText.of_content(text)]
        # The end of a section is written as two sections.
        inside = text.replace(CDATA_END, f"]]{CDATA_END}{CDATA}>")
        return [CDATA, PromptText.of_content(inside), CDATA_END]

    def reader(self, markers: Markers) -> CallReader:
        return TaggedReader(self, markers)

    def grammar(self, tools: Sequence[Tool], lark: Lark, *, parallel: bool = True) -> str:
        return TaggedGrammar(self, lark).text(tools, parallel=parallel)

    def unenforced(self, tool: Tool) -> Sequence[tuple[str, str]]:
        grammar = TaggedGrammar(self, Lark(Markers((), None)))
        grammar.call(tool)
        return grammar.rules.unenforced


def _filled(text: str, **fields: str) -> list[str | PromptText]:
    """The text with its fields filled with content."""
    return [
        piece if at % 2 == 0 else PromptText.of_content(fields[piece])
        for at, piece in enumerate(FIELD.split(text))
        if piece
    ]
