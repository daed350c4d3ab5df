"""The JSON object of a call's arguments, written piece by piece."""

from __future__ import annotations

from oxillama.chat.values.quoting import fragment, quoted


class ArgumentsWriter:
    """Writes one object. Each method returns the text that it adds; all of them joined are the object.

    `string`, then `text` any number of times, then `done` write a string as it comes; `value` writes JSON at once.
    """

    __slots__ = ("_closer", "_started")

    def __init__(self) -> None:
        self._started = False
        self._closer = ""

    def string(self, key: str) -> str:
        """Begin a string."""
        self._closer = '"'
        return self._key(key) + '"'

    def text(self, text: str) -> str:
        """More of the string that was begun."""
        return fragment(text)

    def done(self) -> str:
        """End the string that was begun; nothing if there is none."""
        closer, self._closer = self._closer, ""
        return closer

    def value(self, key: str, json: str) -> str:
        """A whole member. json: JSON text."""
        return self._key(key) + json

    def end(self) -> str:
        """Close the object, and a string that is still open."""
        return self.done() + ("}" if self._started else "{}")

    def _key(self, key: str) -> str:
        opener = ", " if self._started else "{"
        self._started = True
        return f"{opener}{quoted(key)}: "
