"""From a conversation to a prompt: messages, what a model's chat template accepts, and which messages to leave out."""

from oxillama.chat.conversation import Message, Role, ToolCall
from oxillama.chat.history import render
from oxillama.chat.prompt import FittedPrompt, chat_prompt, fitted_prompt

__all__ = ["FittedPrompt", "Message", "Role", "ToolCall", "chat_prompt", "fitted_prompt", "render"]
