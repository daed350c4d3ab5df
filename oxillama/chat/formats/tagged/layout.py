"""Where the texts of calls in tags stand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from oxillama.chat.formats.wire import Tags

# Pieces of a layout that vocabularies have as single tokens.
_TOKENS = re.compile(r"\]<\]\w+\[>\[|｜\w+｜|</?[^<>{}\s]+>")
FIELD = re.compile(r"\{(\w+)\}")


NO_TAGS = Tags("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedLayout:
    """A layout of calls. All texts include the white space that the template writes; readers do without.

    call, parameter: the texts before and behind the parameters of a call, and the value of a parameter. They have
    fields: {name}, {index} (calls count from 1), {key}, {type} (the JSON type of the value) and {string} ("true" if it
    is a string). Where {type} or {string} is written, it says how the value is to be read, not the tool's schema.
    key_end: between key and value, if the key is not an attribute but the text of an element.
    wrap: around each call. section: around all calls. between: between calls.
    own_line: values have lines of their own, so one newline on each side is not part of them.
    gap: how many newlines before a call are not part of the content.
    character_data: values may be CDATA sections of XML.
    """

    name: str
    call: Tags
    parameter: Tags
    key_end: str = ""
    wrap: Tags = NO_TAGS
    section: Tags = NO_TAGS
    between: str = ""
    own_line: bool = False
    gap: int = 1
    character_data: bool = False
    one = False

    def layout(self) -> Sequence[str]:
        """All texts."""
        tags = (self.section, self.wrap, self.call, self.parameter)
        return [text for pair in tags for text in (pair.open, pair.close)] + [self.key_end]

    def texts(self) -> Sequence[str]:
        return sorted({found for text in self.layout() for found in _TOKENS.findall(text)})


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedLayout:
    """Tags that begin with a mark of their own, so that text cannot be taken for one. mark: what tags begin with."""

    name: str = "XT"
    mark: str
    section: str = "tool_call"
    call: str = "invoke"
    gap: int = 1
    one = False

    def texts(self) -> Sequence[str]:
        return (self.mark,)
