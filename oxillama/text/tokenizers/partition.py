"""Finds special tokens in a text. The vocabulary's algorithm encodes the text between them."""

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
"""(id, start, end) of a special token in a text, including the whitespace that a strip flag removes."""


class _Finder(NamedTuple):
    """A search for special tokens.

    search: the library's tokenizer. ids: its ids → ids of the vocabulary. beginning: matches where one may begin.
    """

    search: Tokenizer
    ids: list[int]
    beginning: re.Pattern[str]


class SpecialSplitter:
    """Splits a text into special tokens (as ids) and the text between them; the leftmost match wins, then the longest.

    User-defined tokens are found everywhere, content included. Vocabularies use them for ordinary text (runs of spaces,
    tags), and published tokenizers find them there too. Control and unknown tokens are found on request, but never in
    content.
    """

    def __init__(self, vocab: Vocab) -> None:
        self._vocab = vocab
        self._finders: dict[bool, _Finder | None] = {}
        self._building = threading.Lock()

    def split(self, text: str, parse_special: bool, content: Spans = ()) -> list[str | int]:
        """Split into texts and ids. content: spans [start, end), in characters, that no control token may overlap."""
        found = self._find(text, parse_special) if text else []
        if content and parse_special and any(self._is_forged(one, content) for one in found):
            found = self._find_protected(text, content)
        return _cut(text, found)

    def _is_forged(self, found: _Found, content: Spans) -> bool:
        i, start, end = found
        return bool(self._vocab.attrs[i] & (CONTROL | UNKNOWN)) and _overlaps(start, end, content)

    def _find_protected(self, text: str, content: Spans) -> list[_Found]:
        """Like `_find`: first finds control tokens outside of content, then user-defined tokens in all the rest."""
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
        """The control tokens in text[begin:end]. A strip flag may remove whitespace beyond the end."""
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
        """Build the search; None if the vocabulary has no such tokens."""
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
        # The model has no tokens, so encoding a text returns only the added tokens, with their offsets.
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
        # Most texts contain no beginning of a special token, and this check is quicker than the search.
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
