"""The text of a Word document (docx): ECMA-376, part 1, paragraphs, tables, notes, of WordprocessingML."""

from __future__ import annotations

import zipfile
from typing import IO, BinaryIO
from xml.parsers import expat

from oxillama.vector_stores.extraction.errors import UnreadableError

MOST_XML = 128 * 2**20
"""Bytes of XML that are unpacked. A zip file of a few kilobytes can hold gigabytes."""

_PARTS = ("word/document.xml", "word/footnotes.xml", "word/endnotes.xml", "word/comments.xml")
_PIECE = 1 << 16
_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n"}


def text_of(stream: BinaryIO) -> str:
    """The text of a document. Raises UnreadableError."""
    try:
        with zipfile.ZipFile(stream) as archive:
            present = [name for name in _PARTS if name in archive.NameToInfo]
            if _PARTS[0] not in present:
                raise UnreadableError("unsupported_file", "Of zip files, only Word documents (docx) can be read.")
            reader = _Reader()
            for name in present:
                with archive.open(name) as part:
                    reader.read(part)
            return "".join(reader.parts).strip()
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise UnreadableError("invalid_file", "The document is damaged or encrypted.") from error
    except ValueError as error:
        raise UnreadableError("invalid_file", "The document's XML is damaged.") from error


class _Reader:
    """The text of WordprocessingML parts, one after the other."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._left = MOST_XML
        self._in_text = False

    def read(self, part: IO[bytes]) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = _refuse_entities
        try:
            while data := part.read(_PIECE):
                self._left -= len(data)
                if self._left < 0:
                    message = f"The document has more than {MOST_XML >> 20} MiB of XML."
                    raise UnreadableError("invalid_file", message)
                parser.Parse(data, False)
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise UnreadableError("invalid_file", "The document's XML is damaged.") from error
        self.parts.append("\n")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(" ")[2]
        if tag == "t":
            self._in_text = True
        elif tag in _BREAKS:
            self.parts.append(_BREAKS[tag])

    def _end(self, name: str) -> None:
        tag = name.rpartition(" ")[2]
        if tag == "t":
            self._in_text = False
        elif tag == "p":
            self.parts.append("\n")
        elif tag == "tc":
            if self.parts and self.parts[-1] == "\n":
                self.parts.pop()
            self.parts.append("\t")
        elif tag == "tr":
            self.parts.append("\n")

    def _text(self, data: str) -> None:
        if self._in_text:
            self.parts.append(data)


def _refuse_entities(*_: object) -> None:
    raise UnreadableError("invalid_file", "The document declares XML entities, which no Word document does.")
