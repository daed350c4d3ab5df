"""The common parts of the encoders built on the `tokenizers` library: splitting long texts, and handling failures."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from oxillama.errors import InvalidParameterError, ModelFormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tokenizers import Tokenizer
    from tokenizers.models import Model

# Texts are encoded in parts of about this many characters, to bound the library's memory.
PART = 1 << 16
# A part without a safe place to cut is cut at this length anyway: the regular expressions backtrack over a whole run of
# spaces and give up after some millions of steps.
LONGEST_PART = 1 << 20

# Every pre-tokenizer splits between a letter or digit and a line break. Most also split before a space.
LINE_CUT = re.compile(r"(?<=[A-Za-z0-9])(?=\n)")
WORD_CUT = re.compile(r"(?<=[A-Za-z0-9])(?=[\n ])")


def valid_unicode(text: str) -> str:
    """The text with lone surrogates replaced by U+FFFD and surrogate pairs by their character, so that it encodes."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def encodable(token: str) -> bool:
    """Whether a token is valid UTF-8 in the file. If not, no text can contain it."""
    if token.isascii():
        return True
    try:
        token.encode()
    except UnicodeEncodeError:
        return False
    return True


def parts(text: str, cut: re.Pattern[str]) -> Iterator[str]:
    """Split a long text at matches of `cut`, where encoding the parts is known to equal encoding the whole."""
    start = 0
    while len(text) - start > PART:
        match = cut.search(text, start + PART, start + LONGEST_PART)
        end = match.end() if match else min(start + LONGEST_PART, len(text))
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


class LibraryEncoder:
    """An encoder that runs a `tokenizers` pipeline, built on first use.

    build_model, configure: make the pipeline's model, and add its other steps. cut: where long texts may be split.
    """

    def __init__(
        self, build_model: Callable[[], Model], configure: Callable[[Tokenizer], None], cut: re.Pattern[str] = WORD_CUT
    ) -> None:
        self._configure = configure
        self._cut = cut
        self._build_model = build_model
        self._building = threading.Lock()
        self._pipeline: Tokenizer | None = None

    def _built(self) -> Tokenizer:
        """The pipeline, built on first use: building takes most of a tokenizer's load time. Data is checked earlier."""
        with self._building:
            if self._pipeline is None:
                from tokenizers import Tokenizer

                pipeline = Tokenizer(guarded(self._build_model))
                self._configure(pipeline)
                self._pipeline = pipeline
            return self._pipeline

    def encode(self, pieces: Sequence[str | int]) -> list[int]:
        pipeline = self._pipeline or self._built()
        ids: list[int] = []
        for piece in pieces:
            if isinstance(piece, int):
                ids.append(piece)
            elif len(piece) <= PART:
                ids += run(pipeline, piece)
            else:
                for part in parts(piece, self._cut):
                    ids += run(pipeline, part)
        return ids


def run(pipeline: Tokenizer, text: str) -> list[int]:
    """The ids of a text. Raises InvalidParameterError if the library's regular expressions give up."""
    try:
        ids: list[int] = pipeline.encode(text, add_special_tokens=False).ids
    except BaseException as error:
        # The library's regex engine gives up with a panic, which is not an Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise InvalidParameterError("The text cannot be tokenized: it defeats the pre-tokenizer.") from None
    return ids


def guarded(build: Callable[[], Model]) -> Model:
    """Build a model of the library. Raises ModelFormatError if the library refuses the vocabulary."""
    try:
        return build()
    except ModelFormatError:
        raise
    except Exception as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelFormatError(f"tokenizer.ggml.tokens do not make a tokenizer: {line[:200]}") from None
