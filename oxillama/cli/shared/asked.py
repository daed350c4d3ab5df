"""What the options of commands ask of an answer: tools that may be called, and its form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oxillama.cli.shared.guard import usage_error
from oxillama.cli.shared.prompt import read_text
from oxillama.errors import InvalidParameterError, OxillamaError

if TYPE_CHECKING:
    from oxillama.chat.options import AnswerFormat, ChatOptions
    from oxillama.chat.tools import Tool


def chat_options(tools: Path | None, json_schema: Path | None, grammar: Path | None) -> ChatOptions:
    """The options of a conversation's next turn. Ends the command if two forms are asked for.

    Raises OSError, and OxillamaError with the name of the file that is wrong.
    """
    from oxillama.chat.options import ChatOptions

    if json_schema is not None and grammar is not None:
        usage_error("give one of --json-schema and --grammar")
    try:
        return ChatOptions(tools=() if tools is None else _tools(tools), format=_format(json_schema, grammar))
    except InvalidParameterError as error:
        raise OxillamaError(f"{tools}: {error}") from None


@contextmanager
def naming_files(tools: Path | None, json_schema: Path | None, grammar: Path | None) -> Iterator[None]:
    """Errors about what these files ask for, with the file's name in place of the parameter's."""
    files = {"tools": tools, "response_format": json_schema, "grammar": grammar}
    try:
        yield
    except InvalidParameterError as error:
        path = files.get(error.param or "")
        if path is None:
            raise
        reason = re.sub(r"^Invalid (schema for response_format '.*?'|'grammar'): ", "", str(error))
        raise OxillamaError(f"{path}: {reason}") from None


def _tools(path: Path) -> tuple[Tool, ...]:
    from oxillama.chat.mappings import tools_of

    given = _json(path)
    if isinstance(given, Mapping):
        given = given.get("tools", [given])
    if not isinstance(given, list):
        raise OxillamaError(f"{path}: holds no list of tools")
    return tools_of([_whole(tool) for tool in given])


def _whole(tool: Any) -> Any:
    """A tool in the shape of the API; a function alone is put into it."""
    alone = isinstance(tool, Mapping) and "name" in tool and "function" not in tool
    return {"type": "function", "function": tool} if alone else tool


def _format(json_schema: Path | None, grammar: Path | None) -> AnswerFormat | None:
    from oxillama.chat.options import Grammar, JsonSchema

    if json_schema is not None:
        schema = _json(json_schema)
        if not isinstance(schema, Mapping):
            raise OxillamaError(f"{json_schema}: holds no JSON schema")
        return JsonSchema(schema=schema, strict=True)
    if grammar is not None:
        return Grammar(read_text(grammar), "gbnf" if grammar.suffix.lower() == ".gbnf" else "lark")
    return None


def _json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise OxillamaError(f"{path}: is not JSON: {error}") from None
