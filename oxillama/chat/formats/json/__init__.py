"""Shapes whose calls are JSON: J, JA, A1 and T (objects), and NJ (a name before the object of the arguments)."""

from oxillama.chat.formats.json.named import ARGUMENTS, ID, NAME, NamedJson
from oxillama.chat.formats.json.objects import JsonCalls

__all__ = ["ARGUMENTS", "ID", "NAME", "JsonCalls", "NamedJson"]
