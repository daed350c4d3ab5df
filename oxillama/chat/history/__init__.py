"""From the messages of a conversation to a prompt in the form that a model's chat template can render."""

from oxillama.chat.history.dialect import Dialect, dialect_of
from oxillama.chat.history.rendering import render

__all__ = ["Dialect", "dialect_of", "render"]
