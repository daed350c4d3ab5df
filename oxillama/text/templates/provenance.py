"""Strings that track which of their characters are content while a template works on them.

Content is what users, tools and documents wrote. The text of a control token inside it must stay text, so the tokenizer
needs to know which characters of a rendered prompt the template itself wrote. `Content` is a `str` that carries this
information. It equals the plain string and has the same length, so templates see no difference.

Plain strings belong to the template. The operations implemented here track every character. If any other operation
gets content, its whole result counts as content.

The child process that renders templates loads this file on its own, so it imports nothing from this package.
"""

from __future__ import annotations

import json
import re
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Spans = tuple[tuple[int, int], ...]
"""Spans [start, end) of the characters that are content, sorted and disjoint."""


class Content(str):
    """A string with the spans of its content. `spans=None` marks all of it as content."""

    __slots__ = ("_spans",)
    _spans: Spans

    def __new__(cls, value: str, spans: Spans | None = None) -> Content:
        self = str.__new__(cls, value)
        self._spans = spans if spans is not None else ((0, len(value)),) if value else ()
        return self

    def __str__(self) -> str:
        return self

    def __add__(self, other: Any) -> Any:
        if type(other) is str:  # the most frequent case, in half the time
            return _made(str.__add__(self, other), self._spans)
        return joined((self, other)) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        if type(other) is str:
            at = len(other)
            return _made(str.__add__(other, self), tuple([(start + at, end + at) for start, end in self._spans]))
        return joined((other, self)) if isinstance(other, str) else NotImplemented

    def __mul__(self, times: Any) -> Any:
        return joined([self] * times) if isinstance(times, int) else NotImplemented

    __rmul__ = __mul__

    def __mod__(self, values: Any) -> str:
        return percent(self, values)

    def __rmod__(self, template: Any) -> Any:
        return percent(template, self) if isinstance(template, str) else NotImplemented

    def __getitem__(self, index: Any) -> str:
        chosen = super().__getitem__(index)
        if not isinstance(index, slice):
            at = range(len(self))[index]
            return self._cut(at, at + 1)
        start, stop, step = index.indices(len(self))
        return self._cut(start, max(start, stop)) if step == 1 else Content(chosen)

    def __iter__(self) -> Iterator[str]:
        return (self[at] for at in range(len(self)))

    def _cut(self, start: int, stop: int) -> str:
        return self._part(str.__getitem__(self, slice(start, stop)), start)

    def _part(self, text: str, start: int) -> str:
        """`text`, which is the substring of `self` that begins at `start`, with its spans."""
        if self._spans == ((0, len(self)),):
            return _made(text, ((0, len(text)),) if text else ())
        stop = start + len(text)
        first = max(bisect(self._spans, (start, len(self))) - 1, 0)
        near = self._spans[first : bisect(self._spans, (stop,))]
        spans = [(max(a, start) - start, min(b, stop) - start) for a, b in near if a < stop and b > start]
        return _made(text, tuple(spans))

    def _pieces(self, pieces: Iterable[str], gap: int | None) -> list[str]:
        """Substrings with their spans: they are `gap` characters apart; None: search for each after the one before."""
        found, at = [], 0
        for piece in pieces:
            at = at if gap is not None else self.find(piece, at)
            found.append(self._cut(at, at + len(piece)))
            at += len(piece) + (gap or 0)
        return found

    def join(self, pieces: Iterable[str]) -> str:
        found: list[str] = []
        for piece in pieces:
            found += (self, piece) if found else (piece,)
        return joined(found)

    def split(self, sep: str | None = None, maxsplit: Any = -1) -> list[str]:
        return self._pieces(super().split(sep, maxsplit), None if sep is None else len(sep))

    def rsplit(self, sep: str | None = None, maxsplit: Any = -1) -> list[str]:
        return self._pieces(super().rsplit(sep, maxsplit), None if sep is None else len(sep))

    def splitlines(self, keepends: Any = False) -> list[str]:
        whole = self._pieces(super().splitlines(True), 0)
        if keepends:
            return whole
        return [line[: len(bare)] for line, bare in zip(whole, super().splitlines(), strict=True)]

    def partition(self, sep: str) -> tuple[str, str, str]:
        a, b, c = self._pieces(super().partition(sep), 0)
        return a, b, c

    def rpartition(self, sep: str) -> tuple[str, str, str]:
        a, b, c = self._pieces(super().rpartition(sep), 0)
        return a, b, c

    def strip(self, chars: str | None = None) -> str:
        rest = str.lstrip(self, chars)
        text = rest.rstrip(chars)
        return self if len(text) == len(self) else self._part(text, len(self) - len(rest))

    def lstrip(self, chars: str | None = None) -> str:
        rest = super().lstrip(chars)
        return self._part(rest, len(self) - len(rest))

    def rstrip(self, chars: str | None = None) -> str:
        return self._part(super().rstrip(chars), 0)

    def removeprefix(self, prefix: str) -> str:
        return self._cut(len(prefix) if prefix and self.startswith(prefix) else 0, len(self))

    def removesuffix(self, suffix: str) -> str:
        return self._cut(0, len(self) - (len(suffix) if suffix and self.endswith(suffix) else 0))

    def replace(self, old: str, new: str, count: Any = -1) -> str:
        if old and old not in self:
            return self
        if old:
            return Content(new, spans_of(new)).join(self.split(old, count))
        plain = super().replace(old, new, count)
        return Content(plain, None if self._spans or spans_of(new) else ())


def _made(text: str, spans: Spans) -> Content:
    """`Content(text, spans)` in half the time."""
    made = str.__new__(Content, text)
    made._spans = spans
    return made


def _same_length(name: str) -> Callable[..., str]:
    """A method that changes characters in place. If the length changes, the result is content as a whole."""
    change = getattr(str, name)

    def method(self: Content) -> str:
        changed = change(self)
        spans = self._spans if len(changed) == len(self) else None if self._spans else ()
        return Content(changed, spans)

    return method


def _as_a_whole(name: str) -> Callable[..., str]:
    """A method whose result is content as a whole if the string or an argument holds content."""
    change = getattr(str, name)

    def method(self: Content, *args: Any, **kwargs: Any) -> str:
        return Content(change(self, *args, **kwargs), None if holds_content([self, args, kwargs]) else ())

    return method


for _name in ("upper", "lower", "title", "capitalize", "swapcase", "casefold"):
    setattr(Content, _name, _same_length(_name))
for _name in ("center", "ljust", "rjust", "zfill", "expandtabs", "translate", "format", "format_map"):
    setattr(Content, _name, _as_a_whole(_name))


def spans_of(text: str) -> Spans:
    """The content spans of any string: none in a plain `str`, all of another subclass (such as Jinja's Markup)."""
    if type(text) is str:
        return ()
    return text._spans if isinstance(text, Content) else ((0, len(text)),)


def joined(pieces: Iterable[Any]) -> str:
    """The pieces as one string. The environment also uses it as `concat`, to build the texts of macros and blocks."""
    texts: list[str] = []
    spans: list[tuple[int, int]] = []
    at = 0
    for piece in pieces:
        if type(piece) is not str:
            if not isinstance(piece, str):
                raise TypeError(f"sequence item {len(texts)}: expected str instance, {type(piece).__name__} found")
            for start, end in piece._spans if type(piece) is Content else spans_of(piece):
                if spans and spans[-1][1] == at + start:
                    spans[-1] = (spans[-1][0], at + end)
                else:
                    spans.append((at + start, at + end))
        texts.append(piece)
        at += len(piece)
    text = "".join(texts)
    return _made(text, tuple(spans)) if spans else text


def text_of(value: Any) -> str:
    """`str(value)`, marked as content if the value holds content, for example a list with content in it."""
    if type(value) is str or type(value) is Content:
        return value
    text = str(value)
    return Content(text) if holds_content(value) else text


def holds_content(value: Any) -> bool:
    """Whether a value holds content. Iterators and other objects count as holding it: looking would consume them."""
    if isinstance(value, str):
        return bool(spans_of(value))
    if isinstance(value, Mapping):
        return any(holds_content(key) or holds_content(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return any(map(holds_content, value))
    return value is not None and not isinstance(value, (bool, int, float))


def marked(value: Any, marker: str) -> Any:
    """A JSON value with its strings turned into content, keys too.

    Roles and types stay plain: the caller has checked them, and templates build control tokens from them. An object
    {marker: [text, spans]} becomes a text in which only the spans are content.
    """
    kind = type(value)
    if kind is str:
        return Content(value)
    if kind is list:
        return [marked(item, marker) for item in value]
    if kind is not dict:
        return value
    if marker in value:
        text, spans = value[marker]
        return Content(text, tuple((start, end) for start, end in spans))
    found = {}
    for name, item in value.items():
        key = name if name in _FIELDS else Content(name)
        if type(item) is not str:
            found[key] = marked(item, marker)
        elif name in _NAMES and item.isidentifier():
            found[key] = item
        else:
            found[key] = _made(item, ((0, len(item)),) if item else ())
    return found


# Keys whose values stay plain if they are identifiers, and keys that stay plain themselves: the server wrote them.
_NAMES = frozenset({"role", "type"})
_FIELDS = _NAMES | {"content", "messages"}


_SPEC = re.compile(r"%(?:\(([^)]*)\))?[#0\- +]*\d*(?:\.\d*)?[hlL]?(.)", re.DOTALL)


def percent(template: str, values: Any) -> str:
    """`template % values`, tracking content."""
    plain = str.__mod__(template, values)
    if not holds_content(template) and not holds_content(values):
        return plain
    remaining = iter(values if isinstance(values, tuple) else (values,))
    pieces: list[str] = []
    at = 0
    for spec in _SPEC.finditer(template):
        pieces.append(template[at : spec.start()])
        at = spec.end()
        if spec[2] == "%":
            pieces.append("%")
            continue
        if spec[1] is None:
            value = next(remaining, None)
            text = spec[0] % (value,)
        else:
            value, text = values[spec[1]], spec[0] % values
        pieces.append(formatted(value, spec[2] == "s" and spec[0] in ("%s", f"%({spec[1]})s"), text))
    pieces.append(template[at:])
    return _checked(pieces, plain)


def formatted(value: Any, as_it_is: bool, text: str) -> str:
    """One formatted value. text: the value after formatting. as_it_is: the format inserts strings unchanged."""
    if as_it_is and isinstance(value, str):
        return value
    return Content(text) if holds_content(value) else text


def _checked(pieces: list[str], plain: str) -> str:
    """The joined pieces if they equal `plain`, the result of Python's own formatting; else `plain`, all content."""
    tracked = joined(pieces)
    return tracked if tracked == plain else Content(plain)


def braces(formatter: Any, template: str, args: Any, kwargs: Any) -> str:
    """`template.format(*args, **kwargs)` with a `string.Formatter`, tracking content."""
    plain: str = formatter.vformat(template, args, kwargs)
    if not holds_content([template, args, kwargs]):
        return plain
    pieces: list[str] = []
    for count, (literal, name, spec, conversion) in enumerate(formatter.parse(template)):
        pieces.append(literal)
        if name is None:
            continue
        if "{" in spec:
            return Content(plain)
        value, _ = formatter.get_field(name or str(count), args, kwargs)
        text = formatter.format_field(formatter.convert_field(value, conversion), spec)
        pieces.append(formatted(value, not spec and conversion in (None, "s"), text))
    return _checked(pieces, plain)


def tojson(
    x: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON without HTML escapes, which Jinja's own filter adds. The result is all content: the values are untrusted."""
    return Content(json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys))


def from_json(text: str) -> Any:
    """The value of a JSON text. If the text holds content, all strings in the value are content, keys too."""
    value = json.loads(text)
    return _as_content(value) if holds_content(text) else value


def _as_content(value: Any) -> Any:
    if isinstance(value, str):
        return Content(value)
    if isinstance(value, list):
        return list(map(_as_content, value))
    if isinstance(value, dict):
        return {Content(key): _as_content(item) for key, item in value.items()}
    return value
