"""Cuts a text into passages that overlap.

Lengths are in tokens as the tokenizers of large models count them, estimated from the text alone. So the passages of a
file do not depend on the model that is loaded, and a file that is ingested again has the same ones.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

# Scripts without spaces between words, whose characters are about a token each.
_DENSE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\ua000-\ua4cf\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_PIECE = re.compile(
    rf"\s{{0,32}}+(?:(?P<dense>[{_DENSE}])|(?P<latin>[A-Za-zÀ-ɏ]{{1,64}})|(?P<digits>\d{{1,3}})"
    rf"|(?P<letters>(?:(?![{_DENSE}A-Za-zÀ-ɏ])[^\W\d_]){{1,64}})|(?P<other>[^\w\s]{{1,16}}|_{{1,16}}|\w))|\s{{1,32}}"
)
# Characters of one token, by the group of _PIECE.
_CHARACTERS = {"dense": 1, "latin": 8, "digits": 3, "letters": 4, "other": 2}

# Bounded, since a text may have millions of spaces in a row, and each place in them is looked at.
_PARAGRAPH = re.compile(r"[^\S\n]{0,256}(?:\n[^\S\n]{0,256}\n|\f)")
_LINE = re.compile(r"[^\S\n]{0,256}\n")
_SENTENCE_END = (".", "!", "?", "。", "！", "？", ".)", '."', ":", "…")

Places = Sequence[int]


def count_tokens(text: str) -> int:
    """How many tokens the text has, estimated."""
    return sum(_weight(match) for match in _PIECE.finditer(text))


def cut(text: str, size: int, overlap: int) -> list[tuple[int, int]]:
    """The passages (start, end) of a text, in order; together they cover it, except for white space at their edges.

    size: tokens of a passage at most. overlap: tokens, at most half of size, that a passage shares with the one before
    it. A passage ends with a paragraph, a line or a sentence where one ends in its last quarter.
    """
    # starts[i], ends[i]: of piece i. totals[i]: tokens before it. Arrays, since a large text has millions of pieces.
    starts, ends, totals = array("q"), array("q"), array("q", [0])
    for match in _PIECE.finditer(text):
        starts.append(match.start())
        ends.append(match.end())
        totals.append(totals[-1] + _weight(match))
    passages: list[tuple[int, int]] = []
    first, n = 0, len(starts)
    while first < n:
        last = max(first + 1, min(n, bisect_right(totals, totals[first] + size) - 1))
        if last < n:
            earliest = max(first + 1, bisect_left(totals, totals[first] + size - size // 4))
            last = _best_break(text, starts, ends, earliest, last)
        start, end = _trimmed(text, starts[first], ends[last - 1])
        if start < end:
            passages.append((start, end))
        if last >= n:
            break
        after = bisect_left(totals, totals[last] - overlap, first + 1, last)
        first = max(first + 1, _first_break(text, starts, ends, after, last, totals[after] + overlap // 4, totals))
    return passages


def _weight(match: re.Match[str]) -> int:
    kind = match.lastgroup
    if kind is None:  # only white space
        return 1
    return -(-len(match[kind]) // _CHARACTERS[kind])


def _rank(text: str, starts: Places, ends: Places, at: int) -> int:
    """How good a break before piece `at` is: 3 between paragraphs, 2 between lines, 1 between sentences, else 0."""
    if _PARAGRAPH.match(text, starts[at]):
        return 3
    if _LINE.match(text, starts[at]):
        return 2
    return int(text[starts[at]].isspace() and text.endswith(_SENTENCE_END, 0, ends[at - 1]))


def _best_break(text: str, starts: Places, ends: Places, earliest: int, last: int) -> int:
    """The latest of the best breaks before the pieces `earliest` to `last`."""
    best, found = 0, last
    for at in range(last, earliest - 1, -1):
        rank = _rank(text, starts, ends, at)
        if rank > best:
            best, found = rank, at
            if rank == 3:
                break
    return found


def _first_break(text: str, starts: Places, ends: Places, after: int, last: int, until: int, totals: Places) -> int:
    """The first break at piece `after` or soon behind it, before `until` tokens; `after` if there is none."""
    for at in range(max(after, 1), last):
        if totals[at] > until:
            break
        if _rank(text, starts, ends, at):
            return at
    return after


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end
