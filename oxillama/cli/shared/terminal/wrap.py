"""Word wrapping at a terminal's edge for text that arrives in pieces."""

from __future__ import annotations

import os
import unicodedata

FENCE = "```"
DEFAULT_WIDTH = 80


def terminal_width(fd: int = 1) -> int:
    """The columns of the terminal `fd`; DEFAULT_WIDTH if it is not a terminal."""
    try:
        return os.get_terminal_size(fd).columns or DEFAULT_WIDTH
    except OSError:
        return DEFAULT_WIDTH


class Wrapper:
    """Breaks the lines of one text between words. A word is held back until it is complete or longer than a line.

    Lines of code between fences (```) stay unchanged, because a line break may change their meaning.
    """

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd
        self._width = terminal_width(fd)
        self._column = 0
        self._gap = ""  # the blanks before the word
        self._word = ""
        self._is_long = False  # the word is longer than a line; the terminal breaks it, so it can be copied as one word
        self._begin = ""  # the first characters of the line, to recognise fences
        self._in_code = False

    def feed(self, piece: str) -> str:
        """Add a piece of text; returns the text that can be shown now."""
        return "".join(map(self._take, piece))

    def finish(self) -> str:
        """End the text; returns what was still held back."""
        return self._flush()

    def _take(self, character: str) -> str:
        if character == "\n":
            return self._end_line()
        if len(self._begin) < len(FENCE) and (self._begin or character not in " \t"):
            self._begin += character
        if self._in_code:
            return character
        if character in " \t":
            shown = self._flush()
            self._gap += character
            return shown
        # A line may end before and after a wide character.
        ends_word = is_wide(character) or (self._word != "" and is_wide(self._word[0]) and columns(character) > 0)
        shown = self._flush() if ends_word else ""
        self._word += character
        self._is_long = self._is_long or columns(self._word) > self._width
        return shown + (self._flush(ends=False) if self._is_long else "")

    def _flush(self, *, ends: bool = True) -> str:
        """The word with the blanks before it, on a new line if it does not fit this one. ends: the word is complete."""
        gap, word, is_long = self._gap, self._word, self._is_long
        if not word:
            if ends and is_long:
                self._is_long = False
            return ""
        self._gap = self._word = ""
        self._is_long = is_long and not ends
        wanted = columns(gap) + columns(word)
        if self._column and self._column + wanted > self._width and not (is_long and not gap):
            gap, self._column = "\n", columns(word)
        else:
            self._column += wanted
        if is_long:
            self._column = (self._column - 1) % self._width + 1
        return gap + word

    def _end_line(self) -> str:
        shown = self._flush() + self._gap
        if self._begin == FENCE:
            self._in_code = not self._in_code
        self._gap, self._begin, self._column, self._width = "", "", 0, terminal_width(self._fd)
        return f"{shown}\n"


def is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def columns(text: str) -> int:
    """The width of a text in columns: two per wide character (CJK), none per combining mark, one per tab."""
    return sum(0 if unicodedata.category(c) in ("Mn", "Me", "Cf") else 2 if is_wide(c) else 1 for c in text)
