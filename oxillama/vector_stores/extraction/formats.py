"""The text of a file, by the kind of file that its bytes and its name show."""

from __future__ import annotations

import codecs
from typing import BinaryIO

from oxillama.vector_stores.extraction import documents, hypertext, portable, tables
from oxillama.vector_stores.extraction.errors import UnreadableError

MOST_TEXT = 64 * 2**20
"""Bytes of a text file, and characters of any file's text."""

_HEAD = 4096
_HYPERTEXT = (".html", ".htm", ".xhtml")
_TABLES = {".csv": ",", ".tsv": "\t"}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def text_of(name: str, stream: BinaryIO) -> str:
    """The text of a file that can be read at any position. Raises UnreadableError.

    Whatever is not known as another format is text, if its bytes are: Markdown, source code, logs.
    """
    head = stream.read(_HEAD)
    stream.seek(0)
    suffix = f".{name.rpartition('.')[2].lower()}"
    if b"%PDF-" in head[:1024]:
        return portable.text_of(stream)
    if head.startswith(b"PK\x03\x04"):
        return documents.text_of(stream)
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise UnreadableError("unsupported_file", "Old Office files cannot be read: save it as docx or PDF.")
    data = stream.read(MOST_TEXT + 1)
    if len(data) > MOST_TEXT:
        raise UnreadableError("invalid_file", f"The file has more than {MOST_TEXT >> 20} MiB of text.")
    text = decoded(data)
    start = text[:_HEAD].lstrip().lower()
    if suffix in _HYPERTEXT or start.startswith(("<!doctype html", "<html")):
        return hypertext.text_of(text)
    if suffix == ".json":
        return tables.json_text(text)
    if suffix in _TABLES:
        return tables.table_text(text, _TABLES[suffix])
    return text


def decoded(data: bytes) -> str:
    """Bytes as text: by their mark, as UTF-8, or else as Windows-1252. Raises UnreadableError if they are no text."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _plain(data[len(mark) :].decode(encoding, "replace"))
    if b"\0" in data[: 64 * _HEAD]:
        raise UnreadableError("unsupported_file", "The file is neither text nor of a format that can be read.")
    try:
        return _plain(data.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    text = data.decode("cp1252", "replace")
    controls = sum(char < " " and char not in "\t\n\r\f\x1b" for char in text[: 16 * _HEAD])
    if controls > len(text[: 16 * _HEAD]) // 100:
        raise UnreadableError("unsupported_file", "The file is neither text nor of a format that can be read.")
    return _plain(text)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
