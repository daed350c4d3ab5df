"""Tools and their resources in requests of the Assistants API."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from oxillama.server.wire.chunking import ChunkingStrategy
from oxillama.server.wire.fields import FunctionName, Metadata, NoList

ObjectId = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


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


class CodeInterpreterTool(msgspec.Struct, kw_only=True, tag_field="type", tag="code_interpreter"):
    """Refused: this server does not run code that a model wrote."""


class FileSearchTool(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="type", tag="file_search"):
    file_search: FileSearchOptions | None = None


class FunctionTool(msgspec.Struct, kw_only=True, tag_field="type", tag="function"):
    function: FunctionDefinition


Tool = CodeInterpreterTool | FileSearchTool | FunctionTool


class CodeInterpreterResources(msgspec.Struct, kw_only=True, omit_defaults=True):
    file_ids: NoList = None


class NewVectorStore(msgspec.Struct, kw_only=True):
    """A vector store to make for an assistant or a thread."""

    file_ids: Annotated[list[ObjectId], msgspec.Meta(max_length=10_000)] | None = None
    chunking_strategy: ChunkingStrategy | None = None
    metadata: Metadata | None = None


class FileSearchResources(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One vector store to search: one that exists, or a new one."""

    vector_store_ids: Annotated[list[ObjectId], msgspec.Meta(max_length=1)] | None = None
    vector_stores: Annotated[list[NewVectorStore], msgspec.Meta(max_length=1)] | None = None


class ToolResources(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What tools work on. Code is not run, so there are no files for it."""

    code_interpreter: CodeInterpreterResources | None = None
    file_search: FileSearchResources | None = None


class FunctionChoice(msgspec.Struct, kw_only=True):
    name: str


class ToolChoice(msgspec.Struct, kw_only=True, omit_defaults=True):
    type: Literal["file_search", "code_interpreter", "function"]
    function: FunctionChoice | None = None
