"""Text to tokens and back: tokenizer, streaming detokenizer, stop strings, chat templates."""

from oxillama.text.chat_template import ChatTemplate
from oxillama.text.detokenizer import StreamDetokenizer
from oxillama.text.stop import StopMatcher
from oxillama.text.tokenizer import Tokenizer

__all__ = ["ChatTemplate", "StopMatcher", "StreamDetokenizer", "Tokenizer"]
