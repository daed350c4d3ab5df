"""The wire format of a model: how it writes its reasoning, its answer and its calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from oxillama.chat.formats.shape import Shape
    from oxillama.chat.reply.markers import Markers

Ids = Literal["made", "short", "index", "functions"]
"""The form of calls' ids: "made": `call_` and 24 characters; "short": nine letters and digits; "index": "0", "1", …
over the conversation; "functions": `functions.NAME:INDEX` over the conversation."""


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
    native: whether the model was trained on this shape; if not, a system text asks for it.
    """

    name: str
    shape: Shape
    reasoning: tuple[Tags, ...] = ()
    answer: tuple[Tags, ...] = ()
    ids: Ids = "made"
    stops: tuple[str, ...] = ()
    native: bool = True

    def texts(self) -> Sequence[str]:
        """All texts that may be special tokens."""
        tags = [text for tags in (*self.reasoning, *self.answer) for text in (tags.open, tags.close)]
        return [*self.shape.texts(), *tags]


@dataclass(frozen=True, slots=True)
class WireFormat:
    """A family's format, and which of its markers are special tokens in one model's vocabulary."""

    family: Family
    markers: Markers = field(repr=False)
