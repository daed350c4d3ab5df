"""Tools and what they work on, as requests of the Assistants API name them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from oxillama.server.wire.errors import APIError, bad_request
from oxillama.server.wire.fields import FunctionName
from oxillama.server.wire.invalid import missing_parameter


class FunctionDefinition(msgspec.Struct, kw_only=True, omit_defaults=True):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class RankingOptions(msgspec.Struct, kw_only=True, omit_defaults=True):
    score_threshold: Annotated[float, msgspec.Meta(ge=0, le=1)]
    ranker: Literal["auto", "default_2024_08_21"] | None = None


class FileSearchOptions(msgspec.Struct, kw_only=True, omit_defaults=True):
    max_num_results: Annotated[int, msgspec.Meta(ge=1, le=50)] | None = None
    ranking_options: RankingOptions | None = None


class Tool(msgspec.Struct, kw_only=True, omit_defaults=True):
    type: Literal["code_interpreter", "file_search", "function"]
    function: FunctionDefinition | None = None
    file_search: FileSearchOptions | None = None


class CodeInterpreterResources(msgspec.Struct, kw_only=True, omit_defaults=True):
    file_ids: list[str] | None = None


class FileSearchResources(msgspec.Struct, kw_only=True, omit_defaults=True):
    vector_store_ids: list[str] | None = None
    vector_stores: list[dict[str, Any]] | None = None


class ToolResources(msgspec.Struct, kw_only=True, omit_defaults=True):
    code_interpreter: CodeInterpreterResources | None = None
    file_search: FileSearchResources | None = None


class FunctionChoice(msgspec.Struct, kw_only=True):
    name: str


class ToolChoice(msgspec.Struct, kw_only=True, omit_defaults=True):
    type: Literal["file_search", "code_interpreter", "function"]
    function: FunctionChoice | None = None


def check_tools(tools: list[Tool] | None) -> None:
    """A function tool must say which."""
    for at, tool in enumerate(tools or ()):
        if tool.type == "function" and tool.function is None:
            raise missing_parameter(f"tools[{at}].function")


def check_resources(resources: ToolResources | None, path: str = "tool_resources") -> None:
    """Refuse files and vector stores: this server has none that could be meant."""
    if resources is None:
        return
    if resources.code_interpreter is not None and resources.code_interpreter.file_ids:
        raise unsupported_files(f"{path}.code_interpreter.file_ids")
    search = resources.file_search
    if search is not None and search.vector_store_ids:
        raise unsupported_files(f"{path}.file_search.vector_store_ids")
    if search is not None and search.vector_stores:
        raise unsupported_files(f"{path}.file_search.vector_stores")


def unsupported_files(param: str) -> APIError:
    message = f"Unsupported parameter: '{param}' is not supported by this server, which keeps no files."
    return bad_request(message, param=param, code="unsupported_parameter")
