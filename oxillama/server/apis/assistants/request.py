"""Requests of the Assistants API: typed structs, and the checks that types cannot state. null is "not given"."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from oxillama.server.wire.errors import APIError, bad_request
from oxillama.server.wire.invalid import invalid_value, missing_parameter

MAX_TEXT = 256_000

MetadataKey = Annotated[str, msgspec.Meta(max_length=64)]
MetadataValue = Annotated[str, msgspec.Meta(max_length=512)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], msgspec.Meta(max_length=16)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Temperature = Annotated[float, msgspec.Meta(ge=0, le=2)]
TopP = Annotated[float, msgspec.Meta(ge=0, le=1)]
TokenBudget = Annotated[int, msgspec.Meta(ge=256, le=2**31 - 1)]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
FunctionName = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


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


class JsonSchemaFormat(msgspec.Struct, kw_only=True, omit_defaults=True):
    name: FunctionName
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, kw_only=True, omit_defaults=True):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None


class ContentPart(msgspec.Struct, kw_only=True):
    """Text, or a kind of content that a text model cannot take."""

    type: str
    text: Text | None = None


class Attachment(msgspec.Struct, kw_only=True):
    file_id: str | None = None
    tools: list[dict[str, Any]] | None = None


class CreateMessage(msgspec.Struct, kw_only=True):
    role: Literal["user", "assistant"]
    content: Text | Annotated[list[ContentPart], msgspec.Meta(min_length=1)]
    attachments: list[Attachment] | None = None
    metadata: Metadata | None = None

    def texts(self, path: str = "") -> list[str]:
        """The text of each part. Raises APIError for what a text model cannot take."""
        if self.attachments:
            raise unsupported_files(f"{path}attachments")
        if isinstance(self.content, str):
            return [self.content]
        return [_text_of(part, f"{path}content[{at}]") for at, part in enumerate(self.content)]


class ModifyMetadata(msgspec.Struct, kw_only=True):
    """What may be changed of a message or a run."""

    metadata: Metadata | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that were given, as they are stored."""
        return _given(self)


class CreateThread(msgspec.Struct, kw_only=True):
    messages: list[CreateMessage] | None = None
    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None


class ModifyThread(msgspec.Struct, kw_only=True):
    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that were given, as they are stored. Raises APIError."""
        check_resources(self.tool_resources)
        return _given(self)


class ModifyAssistant(msgspec.Struct, kw_only=True):
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=512)] | None = None
    name: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    description: Annotated[str, msgspec.Meta(max_length=512)] | None = None
    instructions: Text | None = None
    tools: Annotated[list[Tool], msgspec.Meta(max_length=128)] | None = None
    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    response_format: Literal["auto"] | ResponseFormat | None = None
    reasoning_effort: ReasoningEffort | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that were given, as they are stored. Raises APIError."""
        check_tools(self.tools)
        check_resources(self.tool_resources)
        check_format(self.response_format)
        return _given(self)


class CreateAssistant(ModifyAssistant, kw_only=True):
    def changes(self) -> dict[str, Any]:
        if self.model is None:
            raise missing_parameter("model")
        return super().changes()


class TruncationStrategy(msgspec.Struct, kw_only=True):
    type: Literal["auto", "last_messages"]
    last_messages: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None


class FunctionChoice(msgspec.Struct, kw_only=True):
    name: str


class ToolChoice(msgspec.Struct, kw_only=True, omit_defaults=True):
    type: Literal["file_search", "code_interpreter", "function"]
    function: FunctionChoice | None = None


class RunFields(msgspec.Struct, kw_only=True):
    """What both ways to create a run have in common."""

    assistant_id: str
    model: str | None = None
    instructions: Text | None = None
    tools: Annotated[list[Tool], msgspec.Meta(max_length=20)] | None = None
    metadata: Metadata | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    stream: bool | None = None
    max_prompt_tokens: TokenBudget | None = None
    max_completion_tokens: TokenBudget | None = None
    truncation_strategy: TruncationStrategy | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: Literal["auto"] | ResponseFormat | None = None
    reasoning_effort: ReasoningEffort | None = None

    def check(self) -> None:
        """Raise APIError for what types cannot say."""
        check_tools(self.tools)
        check_format(self.response_format)
        strategy = self.truncation_strategy
        if strategy is not None and strategy.type == "last_messages" and strategy.last_messages is None:
            raise missing_parameter("truncation_strategy.last_messages")


class CreateRun(RunFields, kw_only=True):
    additional_instructions: Text | None = None
    additional_messages: list[CreateMessage] | None = None


class CreateThreadAndRun(RunFields, kw_only=True):
    thread: CreateThread | None = None
    tool_resources: ToolResources | None = None


def check_tools(tools: list[Tool] | None) -> None:
    """A function tool must say which."""
    for at, tool in enumerate(tools or ()):
        if tool.type == "function" and tool.function is None:
            raise missing_parameter(f"tools[{at}].function")


def check_format(wanted: str | ResponseFormat | None) -> None:
    """A schema format must have its schema."""
    if isinstance(wanted, ResponseFormat) and wanted.type == "json_schema" and wanted.json_schema is None:
        raise missing_parameter("response_format.json_schema")


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


def _text_of(part: ContentPart, path: str) -> str:
    if part.type != "text":
        raise invalid_value(f"{path}.type", part.type, ["text"])
    if part.text is None:
        raise missing_parameter(f"{path}.text")
    return part.text


def _given(wire: msgspec.Struct) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(wire).items() if value is not None}
