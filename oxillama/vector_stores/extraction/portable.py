"""The text of a PDF file. Pages are separated by form feeds, so that a place in the text tells its page."""

from __future__ import annotations

import logging
from typing import BinaryIO

from oxillama.vector_stores.extraction.errors import UnreadableError

PAGE_END = "\f"
MOST_PAGES = 20_000


def text_of(stream: BinaryIO) -> str:
    """The text of a file's pages. Raises UnreadableError, also for pages that are only pictures."""
    from pypdf import PdfReader  # deferred: only PDF files need it
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(stream, strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError("invalid_file", "The PDF file is protected by a password.")
        if len(reader.pages) > MOST_PAGES:
            raise UnreadableError("invalid_file", f"The PDF file has more than {MOST_PAGES} pages.")
        text = PAGE_END.join(page.extract_text() for page in reader.pages)
    except (UnreadableError, MemoryError):
        raise
    except PyPdfError as error:
        raise UnreadableError("invalid_file", "The PDF file is damaged.") from error
    except Exception as error:  # the parser meets damaged files with errors of every kind
        raise UnreadableError("invalid_file", "The PDF file is damaged.") from error
    if not text.strip():
        raise UnreadableError("invalid_file", "The PDF file has no text. Pictures of text are not read.")
    return text
