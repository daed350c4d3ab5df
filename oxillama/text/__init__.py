"""Text to tokens and back: tokenizer, streaming detokenizer, stop strings, chat templates."""

from oxillama.text.prompt_text import PromptText
from oxillama.text.stream import StopMatcher, StreamDetokenizer
from oxillama.text.templates.template import ChatTemplate
from oxillama.text.tokenizers.tokenizer import Tokenizer

__all__ = ["ChatTemplate", "PromptText", "StopMatcher", "StreamDetokenizer", "Tokenizer"]
