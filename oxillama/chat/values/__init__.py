"""The values of a call's arguments as models write them outside JSON, and how they become JSON."""

from oxillama.chat.values.kinds import Parameters
from oxillama.chat.values.literals import LiteralError, Literals
from oxillama.chat.values.quoting import fragment, quoted
from oxillama.chat.values.tagged import json_of, tagged_value
from oxillama.chat.values.writer import ArgumentsWriter

__all__ = [
    "ArgumentsWriter",
    "LiteralError",
    "Literals",
    "Parameters",
    "fragment",
    "json_of",
    "quoted",
    "tagged_value",
]
