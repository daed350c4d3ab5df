"""oxillama: GGUF language models on ordinary CPUs, behind the whole OpenAI API.

    import oxillama

    with oxillama.Model("model.gguf") as model:
        for piece in model.generate("Once upon a time"):
            print(piece, end="")

`Model` runs in the caller's thread, `Engine` serves many requests at once under trio. Names are imported when they are
first used, so importing the package is quick.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from oxillama._version import __version__

if TYPE_CHECKING:
    from oxillama.chat.conversation import Message, ToolCall
    from oxillama.chat.exchange import prepare
    from oxillama.chat.model import Model
    from oxillama.chat.options import ChatOptions, JsonSchema, Thinking
    from oxillama.chat.reply.message import Reply, read_reply
    from oxillama.chat.tools import Tool, ToolChoice
    from oxillama.engine.api.config import EngineConfig
    from oxillama.engine.api.sampling import SamplerSettings
    from oxillama.engine.api.types import (
        GenerationRequest,
        Priority,
        SamplerParams,
        SamplingParams,
        TokenEvent,
        TokenLogprob,
        Usage,
    )
    from oxillama.engine.engine import Engine
    from oxillama.errors import (
        ContextLengthError,
        EngineBusyError,
        EngineClosedError,
        GenerationError,
        InsufficientMemoryError,
        InvalidParameterError,
        KVCacheFullError,
        ModelError,
        ModelFormatError,
        ModelUnsupportedError,
        ObjectNotFoundError,
        OxillamaError,
        StateConflictError,
        StepCancelledError,
        StoreDamagedError,
        StoreError,
        StoreFullError,
        StoreReadOnlyError,
        TemplateError,
    )
    from oxillama.gguf import GGUFFile
    from oxillama.text import Tokenizer

_HOMES = {
    "ChatOptions": "oxillama.chat.options",
    "Engine": "oxillama.engine.engine",
    "EngineConfig": "oxillama.engine.api.config",
    "GGUFFile": "oxillama.gguf",
    "GenerationRequest": "oxillama.engine.api.types",
    "JsonSchema": "oxillama.chat.options",
    "Message": "oxillama.chat.conversation",
    "Model": "oxillama.chat.model",
    "Priority": "oxillama.engine.api.types",
    "Reply": "oxillama.chat.reply.message",
    "SamplerParams": "oxillama.engine.api.types",
    "SamplerSettings": "oxillama.engine.api.sampling",
    "SamplingParams": "oxillama.engine.api.types",
    "Thinking": "oxillama.chat.options",
    "TokenEvent": "oxillama.engine.api.types",
    "TokenLogprob": "oxillama.engine.api.types",
    "Tokenizer": "oxillama.text",
    "Tool": "oxillama.chat.tools",
    "ToolCall": "oxillama.chat.conversation",
    "ToolChoice": "oxillama.chat.tools",
    "Usage": "oxillama.engine.api.types",
    "prepare": "oxillama.chat.exchange",
    "read_reply": "oxillama.chat.reply.message",
}

__all__ = [
    "ChatOptions",
    "ContextLengthError",
    "Engine",
    "EngineBusyError",
    "EngineClosedError",
    "EngineConfig",
    "GGUFFile",
    "GenerationError",
    "GenerationRequest",
    "InsufficientMemoryError",
    "InvalidParameterError",
    "JsonSchema",
    "KVCacheFullError",
    "Message",
    "Model",
    "ModelError",
    "ModelFormatError",
    "ModelUnsupportedError",
    "ObjectNotFoundError",
    "OxillamaError",
    "Priority",
    "Reply",
    "SamplerParams",
    "SamplerSettings",
    "SamplingParams",
    "StateConflictError",
    "StepCancelledError",
    "StoreDamagedError",
    "StoreError",
    "StoreFullError",
    "StoreReadOnlyError",
    "TemplateError",
    "Thinking",
    "TokenEvent",
    "TokenLogprob",
    "Tokenizer",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "Usage",
    "__version__",
    "prepare",
    "read_reply",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'oxillama' has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "oxillama.errors")), name)
    globals()[name] = value
    return value


class _MovedModules:
    """The last finder on sys.meta_path: asked for what no other finds, it knows modules by the names they had."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if not name.startswith("oxillama."):
            return None
        from oxillama._moved import find_spec

        return find_spec(name)


sys.meta_path.append(_MovedModules)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
