"""Text to tokens and back: tokenizer, streaming detokenizer, stop strings, chat templates."""

from oxillama.text.stream import StopMatcher, StreamDetokenizer
from oxillama.text.templates.template import ChatTemplate
from oxillama.text.tokenizers.tokenizer import Tokenizer

__all__ = ["ChatTemplate", "StopMatcher", "StreamDetokenizer", "Tokenizer"]
