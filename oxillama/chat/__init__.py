"""From a conversation to a prompt, and from a generation to a reply; and which messages to leave out."""

from oxillama.chat.conversation import Message, Role, ToolCall
from oxillama.chat.exchange import Exchange, prepare, text_constraint
from oxillama.chat.history import render
from oxillama.chat.options import ChatOptions
from oxillama.chat.prompt import FittedPrompt, chat_prompt, fitted_prompt, takes_tools

__all__ = [
    "ChatOptions",
    "Exchange",
    "FittedPrompt",
    "Message",
    "Role",
    "ToolCall",
    "chat_prompt",
    "fitted_prompt",
    "prepare",
    "render",
    "takes_tools",
    "text_constraint",
]
