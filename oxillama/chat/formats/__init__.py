"""How families of models write reasoning, answers and tool calls: one row of data a family, one module a wire shape."""

from oxillama.chat.formats.detect import format_of
from oxillama.chat.formats.wire import Family, Tags, WireFormat, prompt_tail

__all__ = ["Family", "Tags", "WireFormat", "format_of", "prompt_tail"]
