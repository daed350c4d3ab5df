"""A prompt before it is tokens: the text, and which of its characters are content."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PromptText:
    """A text that a template, or the server, has made around what others have written.

    content: [start, end) of the characters that users, tools and documents wrote, in order and apart from each other.
    The texts of control tokens count only outside of them. No spans: all of it is the maker's own.
    """

    text: str
    content: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of_content(cls, text: str) -> PromptText:
        """A text that is content throughout."""
        return cls(text, ((0, len(text)),) if text else ())

    def __len__(self) -> int:
        """In characters."""
        return len(self.text)

    def beginning(self, length: int) -> PromptText:
        """The first characters."""
        spans = tuple((start, min(end, length)) for start, end in self.content if start < length)
        return PromptText(self.text[:length], spans)


def prompt_text(*pieces: str | PromptText) -> PromptText:
    """The pieces as one text; plain strings are the maker's own."""
    texts: list[str] = []
    spans: list[tuple[int, int]] = []
    at = 0
    for piece in pieces:
        text, content = (piece, ()) if isinstance(piece, str) else (piece.text, piece.content)
        spans += ((at + start, at + end) for start, end in content)
        texts.append(text)
        at += len(text)
    return PromptText("".join(texts), tuple(spans))
