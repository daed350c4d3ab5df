"""What the encoders built on the `tokenizers` library share: special tokens, cutting of long texts, its failures."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from oxillama.errors import InvalidParameterError, ModelFormatError
from oxillama.text.tokenizers.vocab import CONTROL, LSTRIP, RSTRIP, UNKNOWN, USER_DEFINED, Vocab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokenizers import AddedToken, Tokenizer
    from tokenizers.models import Model

# A text is encoded in parts of about this many characters, which bounds the library's memory.
PART = 1 << 16
# A stretch without any safe place to cut is cut here all the same: the regular expressions backtrack over a whole
# run of spaces, and give up after some millions of steps.
LONGEST_PART = 1 << 20

# Between a letter or digit and a line break every pre-tokenizer cuts; before a space most do.
LINE_CUT = re.compile(r"(?<=[A-Za-z0-9])(?=\n)")
WORD_CUT = re.compile(r"(?<=[A-Za-z0-9])(?=[\n ])")
NO_CUT = re.compile(r"(?!)")


def valid_unicode(text: str) -> str:
    """The text with each lone surrogate replaced by U+FFFD, so that it can be encoded; pairs become their character."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def encodable(token: str) -> bool:
    """False for a token that is not valid UTF-8 in the file: no text can contain it."""
    if token.isascii():
        return True
    try:
        token.encode()
    except UnicodeEncodeError:
        return False
    return True


def parts(text: str, cut: re.Pattern[str]) -> Iterator[str]:
    """Cut a long text at matches of `cut`: where encoding the parts is known to equal encoding the whole."""
    start = 0
    while len(text) - start > PART:
        match = cut.search(text, start + PART, start + LONGEST_PART)
        end = match.end() if match else min(start + LONGEST_PART, len(text))
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def special_tokens(vocab: Vocab, parse_special: bool) -> list[AddedToken]:
    """Tokens found in the text before anything else: user-defined ones always, control and unknown ones on request."""
    from tokenizers import AddedToken

    wanted = USER_DEFINED | CONTROL | UNKNOWN if parse_special else USER_DEFINED
    hidden = 0 if parse_special else CONTROL | UNKNOWN
    return [
        AddedToken(token, normalized=False, lstrip=bool(attr & LSTRIP), rstrip=bool(attr & RSTRIP), special=True)
        for token, attr in zip(vocab.tokens, vocab.attrs, strict=True)
        if attr & wanted and not attr & hidden and encodable(token)
    ]


class LibraryEncoder:
    """A `tokenizers` pipeline over one model, built twice at most: with and without control tokens in the text."""

    def __init__(
        self,
        vocab: Vocab,
        build_model: Callable[[], Model],
        configure: Callable[[Tokenizer], None],
        cut: re.Pattern[str] = WORD_CUT,
    ) -> None:
        self._vocab = vocab
        self._configure = configure
        # A special token must not be cut in two.
        special = USER_DEFINED | CONTROL | UNKNOWN
        inside = any(
            attr & special and cut.search(token) for token, attr in zip(vocab.tokens, vocab.attrs, strict=True)
        )
        self._cut = NO_CUT if inside else cut
        self._build_model = build_model
        self._building = threading.Lock()
        self._model: Model | None = None
        self._pipelines: dict[bool, Tokenizer] = {}

    def _pipeline(self, parse_special: bool) -> Tokenizer:
        pipeline = self._pipelines.get(parse_special)
        if pipeline is None:
            with self._building:
                pipeline = self._pipelines.get(parse_special) or self._build(parse_special)
        return pipeline

    def _build(self, parse_special: bool) -> Tokenizer:
        """Late, for it takes most of the time that a tokenizer takes to load; what may be wrong is checked before."""
        from tokenizers import Tokenizer

        if self._model is None:
            self._model = guarded(self._build_model)
        pipeline = Tokenizer(self._model)
        self._configure(pipeline)
        pipeline.add_tokens(special_tokens(self._vocab, parse_special))
        self._pipelines[parse_special] = pipeline
        return pipeline

    def encode(self, text: str, parse_special: bool) -> list[int]:
        pipeline = self._pipeline(parse_special)
        if len(text) <= PART:
            return run(pipeline, text)
        return [i for part in parts(text, self._cut) for i in run(pipeline, part)]


def run(pipeline: Tokenizer, text: str) -> list[int]:
    try:
        ids: list[int] = pipeline.encode(text, add_special_tokens=False).ids
    except BaseException as error:
        # The library's regex engine gives up by a panic, which is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise InvalidParameterError("The text cannot be tokenized: it defeats the pre-tokenizer.") from None
    return ids


def guarded(build: Callable[[], Model]) -> Model:
    try:
        return build()
    except ModelFormatError:
        raise
    except Exception as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelFormatError(f"tokenizer.ggml.tokens do not make a tokenizer: {line[:200]}") from None
