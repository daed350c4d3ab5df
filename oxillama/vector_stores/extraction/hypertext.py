"""The text of an HTML page: what a browser shows, with a line for each block."""

from __future__ import annotations

import re
from html.parser import HTMLParser


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_HIDDEN = frozenset({"script", "style", "template", "noscript", "svg", "head"})
_SHOWN_IN_HEAD = frozenset({"title"})
_BLOCKS = _names(
    "address article aside blockquote body br dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 "
    "h5 h6 header hr legend li main nav ol option p pre section summary table tbody td tfoot th thead title tr "
    "ul"
)
_VOID = _names("area base br col embed hr img input link meta source track wbr")
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r"\n[\n ]*\n")


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden: list[str] = []
        self._kept = 0  # depth of <pre>, whose line ends count

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN and tag not in _VOID:
            self._hidden.append(tag)
        if tag == "body":  # ends a head that was never closed
            self._hidden = [one for one in self._hidden if one != "head"]
        if tag in _BLOCKS and not self._is_hidden(tag):
            self.parts.append("\n" if tag not in ("td", "th") else " \t")
        self._kept += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            while self._hidden.pop() != tag:
                pass
        if tag in _BLOCKS and not self._is_hidden(tag):
            self.parts.append("\n")
        self._kept -= tag == "pre" and self._kept > 0

    def handle_data(self, data: str) -> None:
        if self._hidden and not (self._hidden == ["head"] and self.lasttag in _SHOWN_IN_HEAD):
            return
        self.parts.append(data if self._kept else data.replace("\n", " "))

    def _is_hidden(self, tag: str) -> bool:
        return bool(self._hidden) and tag not in _SHOWN_IN_HEAD


def text_of(source: str) -> str:
    """The text of a page. Broken markup is read as far as it goes."""
    page = _Page()
    page.feed(source)
    page.close()
    text = _SPACES.sub(" ", "".join(page.parts))
    return _LINES.sub("\n\n", text.replace(" \n", "\n").replace("\n ", "\n")).strip()
