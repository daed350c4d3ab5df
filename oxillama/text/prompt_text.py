"""A prompt before tokenization: its text, and which of its characters are content."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PromptText:
    """A prompt text in which content is marked.

    content: spans [start, end), in characters, of what users, tools and documents wrote; sorted and disjoint. Texts of
    control tokens become control tokens only outside these spans. Without spans, the whole text is trusted.
    """

    text: str
    content: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of_content(cls, text: str) -> PromptText:
        """The text with all of it marked as content."""
        return cls(text, ((0, len(text)),) if text else ())

    def __len__(self) -> int:
        """The length in characters."""
        return len(self.text)

    def beginning(self, length: int) -> PromptText:
        """The first `length` characters."""
        spans = tuple((start, min(end, length)) for start, end in self.content if start < length)
        return PromptText(self.text[:length], spans)

    def after(self, start: int) -> PromptText:
        """The characters from `start` on."""
        spans = tuple((max(first, start) - start, end - start) for first, end in self.content if end > start)
        return PromptText(self.text[start:], spans)

    def is_content(self, at: int) -> bool:
        """Whether the character at `at` is content."""
        place = bisect(self.content, (at, len(self.text))) - 1
        return place >= 0 and at < self.content[place][1]


def prompt_text(*pieces: str | PromptText) -> PromptText:
    """Join the pieces. Plain strings are trusted: none of their characters are content."""
    texts: list[str] = []
    spans: list[tuple[int, int]] = []
    at = 0
    for piece in pieces:
        text, content = (piece, ()) if isinstance(piece, str) else (piece.text, piece.content)
        spans += ((at + start, at + end) for start, end in content)
        texts.append(text)
        at += len(text)
    return PromptText("".join(texts), tuple(spans))
