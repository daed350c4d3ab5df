"""Tools and their resources in requests of the Assistants API, and how files are cut for them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from oxillama.server.wire.errors import bad_request
from oxillama.server.wire.fields import FunctionName, Metadata, NoList
from oxillama.vector_stores.records import Chunking

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


LEAST_SIZE, MOST_SIZE = 100, 4096  # tokens


class StaticChunking(msgspec.Struct, kw_only=True):
    """Tokens of a passage at most, and tokens that it shares with the one before it: at most half of them."""

    max_chunk_size_tokens: Annotated[int, msgspec.Meta(ge=LEAST_SIZE, le=MOST_SIZE)]
    chunk_overlap_tokens: Annotated[int, msgspec.Meta(ge=0)]


class AutoStrategy(msgspec.Struct, kw_only=True, tag_field="type", tag="auto"):
    """Passages of 800 tokens that share 400."""


class StaticStrategy(msgspec.Struct, kw_only=True, tag_field="type", tag="static"):
    static: StaticChunking


ChunkingStrategy = AutoStrategy | StaticStrategy


def chunking_of(strategy: ChunkingStrategy | None, param: str = "chunking_strategy") -> Chunking:
    """As it is stored. Raises APIError 400."""
    if not isinstance(strategy, StaticStrategy):
        return Chunking()
    size, overlap = strategy.static.max_chunk_size_tokens, strategy.static.chunk_overlap_tokens
    if overlap > size // 2:
        path = f"{param}.static.chunk_overlap_tokens"
        message = f"Invalid '{path}': it must not exceed half of max_chunk_size_tokens, {size // 2}, but is {overlap}."
        raise bad_request(message, param=path, code="integer_above_max_value")
    return Chunking(size, overlap)


def strategy_of(chunking: Chunking) -> dict[str, Any]:
    """As it is sent."""
    sizes = {"max_chunk_size_tokens": chunking.size, "chunk_overlap_tokens": chunking.overlap}
    return {"type": "static", "static": sizes}


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
