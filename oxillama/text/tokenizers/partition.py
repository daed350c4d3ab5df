"""Finding special tokens in a text: everything between them is for the vocabulary's algorithm."""

from __future__ import annotations

import bisect
import re
import threading
from typing import TYPE_CHECKING, NamedTuple

from oxillama.text.tokenizers.algorithms.pipeline import encodable
from oxillama.text.tokenizers.vocab import CONTROL, LSTRIP, RSTRIP, UNKNOWN, USER_DEFINED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokenizers import Tokenizer

    from oxillama.text.tokenizers.vocab import Vocab

Spans = tuple[tuple[int, int], ...]
_Found = tuple[int, int, int]
"""(id, start, end) of a special token in a text; a strip flag's whitespace is part of it."""


class _Finder(NamedTuple):
    """The library's search, what its ids are in the vocabulary, and what some special token begins with."""

    search: Tokenizer
    ids: list[int]
    beginning: re.Pattern[str]


class SpecialSplitter:
    """Cuts a text into special tokens (their ids) and the text between them: leftmost first, then longest.

    User-defined tokens are found everywhere, in content too: vocabularies spell ordinary text by them (runs of spaces,
    tags), and published tokenizers do the same. Control and unknown tokens are found on request, and never in content.
    """

    def __init__(self, vocab: Vocab) -> None:
        self._vocab = vocab
        self._finders: dict[bool, _Finder | None] = {}
        self._building = threading.Lock()

    def split(self, text: str, parse_special: bool, content: Spans = ()) -> list[str | int]:
        """Texts and ids. `content`: [start, end) of the characters that cannot be part of control tokens."""
        found = self._find(text, parse_special) if text else []
        if content and parse_special and any(self._is_forged(one, content) for one in found):
            found = self._find_protected(text, content)
        return _cut(text, found)

    def _is_forged(self, found: _Found, content: Spans) -> bool:
        i, start, end = found
        return bool(self._vocab.attrs[i] & (CONTROL | UNKNOWN)) and _overlaps(start, end, content)

    def _find_protected(self, text: str, content: Spans) -> list[_Found]:
        """As `_find`, with the control tokens outside of content first, then user-defined ones in all the rest."""
        controls: list[_Found] = []
        at = 0
        for start, end in (*content, (len(text), len(text))):
            controls += self._own_controls(text, at, start)
            at = end
        found: list[_Found] = []
        at = 0
        for control in (*controls, (-1, len(text), len(text))):
            found += ((i, at + start, at + end) for i, start, end in self._find(text[at : control[1]], False))
            found.append(control)
            at = control[2]
        return found[:-1]

    def _own_controls(self, text: str, begin: int, end: int) -> Iterator[_Found]:
        """The control tokens in text[begin:end]; a strip flag takes whitespace from what follows, too."""
        attrs = self._vocab.attrs
        for i, start, stop in self._find(text[begin:end], True):
            if attrs[i] & (CONTROL | UNKNOWN):
                start, stop = begin + start, begin + stop
                while attrs[i] & RSTRIP and stop < len(text) and text[stop].isspace():
                    stop += 1
                yield i, start, stop

    def _find(self, text: str, parse_special: bool) -> list[_Found]:
        found_by = self._finder(parse_special)
        if found_by is None:
            return []
        finder, ids, beginning = found_by
        if beginning.search(text) is None:
            return []
        found = finder.encode(text, add_special_tokens=False)
        return [(ids[i], start, end) for i, (start, end) in zip(found.ids, found.offsets, strict=True)]

    def _finder(self, parse_special: bool) -> _Finder | None:
        if parse_special not in self._finders:
            with self._building:
                if parse_special not in self._finders:
                    self._finders[parse_special] = self._build(parse_special)
        return self._finders[parse_special]

    def _build(self, parse_special: bool) -> _Finder | None:
        """None if there is nothing to find."""
        from tokenizers import AddedToken, Tokenizer, models

        wanted = USER_DEFINED | CONTROL | UNKNOWN if parse_special else USER_DEFINED
        hidden = 0 if parse_special else CONTROL | UNKNOWN
        ids = [
            i
            for i, (token, attr) in enumerate(zip(self._vocab.tokens, self._vocab.attrs, strict=True))
            if attr & wanted and not attr & hidden and encodable(token)
        ]
        if not ids:
            return None
        # A model without tokens: of the text, only the added tokens are left, with their places.
        finder = Tokenizer(models.BPE({}, []))
        finder.add_tokens(
            [
                AddedToken(
                    self._vocab.tokens[i],
                    normalized=False,
                    lstrip=bool(self._vocab.attrs[i] & LSTRIP),
                    rstrip=bool(self._vocab.attrs[i] & RSTRIP),
                    special=True,
                )
                for i in ids
            ]
        )
        # Most texts have nothing that begins like a special token, which is quicker to see.
        beginnings = sorted({self._vocab.tokens[i][:2] for i in ids})
        return _Finder(finder, ids, re.compile("|".join(map(re.escape, beginnings))))


def _overlaps(start: int, end: int, spans: Spans) -> bool:
    at = bisect.bisect_right(spans, (start, end))
    return (at > 0 and spans[at - 1][1] > start) or (at < len(spans) and spans[at][0] < end)


def _cut(text: str, found: Sequence[_Found]) -> list[str | int]:
    pieces: list[str | int] = []
    at = 0
    for i, start, end in found:
        if start > at:
            pieces.append(text[at:start])
        pieces.append(i)
        at = end
    if at < len(text):
        pieces.append(text[at:])
    return pieces
