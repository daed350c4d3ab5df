"""POST /v1/chat/completions: the request."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from oxillama.server.apis.chat.messages import Message
from oxillama.server.generation.sampling import SamplingFields
from oxillama.server.wire.errors import bad_request
from oxillama.server.wire.fields import NoList, NoValue, ReasoningEffort, accepts
from oxillama.server.wire.formats import ONLY_TEXT, ResponseFormat, TextFormat
from oxillama.server.wire.invalid import unsupported_parameter, unsupported_value, wrong_length
from oxillama.server.wire.tools import FunctionDefinition

# Names that the server gives to templates. A request may add values of its own, but not replace these.
RESERVED_KWARGS = frozenset(
    {"add_generation_prompt", "bos_token", "chat_template", "documents", "eos_token", "messages", "template", "tools"}
)
MAX_KWARGS = 64
KWARG = r"^[A-Za-z_][A-Za-z0-9_]*$"

AtLeastOne = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]

KWARGS = {
    "type": ["object", "null"],
    "maxProperties": MAX_KWARGS,
    "propertyNames": {"pattern": KWARG, "not": {"enum": sorted(RESERVED_KWARGS)}},
}
NO_CALL = {"enum": ["none", "auto", None]}
TEXT_ONLY = {"type": ["array", "null"], "items": {"const": "text"}}


class ChatTool(msgspec.Struct, kw_only=True):
    type: Literal["function"]
    function: FunctionDefinition


class ChatRequest(SamplingFields, kw_only=True):
    """Fields of the OpenAI API that are not listed here have no effect and are ignored."""

    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    max_completion_tokens: AtLeastOne | None = None
    max_tokens: AtLeastOne | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=20)] | None, msgspec.Meta(description="Only with `logprobs`.")
    ] = None
    chat_template_kwargs: Annotated[dict[str, Any] | None, accepts(KWARGS, "Values for the chat template.")] = None
    reasoning_effort: ReasoningEffort | None = None

    response_format: Annotated[ResponseFormat | None, accepts(ONLY_TEXT, "Only text.")] = None
    tools: Annotated[
        list[ChatTool] | None,
        msgspec.Meta(description="Only with `tool_choice` `none`: the model does not see them."),
    ] = None
    tool_choice: Annotated[Literal["none", "auto", "required"] | dict[str, Any] | None, accepts(NO_CALL)] = None
    function_call: Annotated[Literal["none", "auto"] | dict[str, Any] | None, accepts(NO_CALL)] = None
    modalities: Annotated[list[Literal["text", "audio"]] | None, accepts(TEXT_ONLY)] = None
    functions: NoList = None
    chat_template: NoValue = None
    audio: NoValue = None

    @property
    def limit(self) -> int | None:
        """Maximum number of new tokens; None: as many as fit the context. `max_completion_tokens`, the newer name, has
        precedence."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def n_top_logprobs(self) -> int | None:
        """How many alternatives to report beside each token; None: no log-probabilities at all."""
        return (self.top_logprobs or 0) if self.logprobs else None

    def check(self) -> None:
        """Raise APIError for fields that are not supported."""
        self.check_common()
        if self.top_logprobs is not None and not self.logprobs:
            message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."
            raise bad_request(message, param="top_logprobs", code="invalid_value")
        if self.response_format is not None and not isinstance(self.response_format, TextFormat):
            wanted = self.response_format.__struct_config__.tag
            raise unsupported_value("response_format.type", wanted, "'text'")
        self._check_tools()
        for at, modality in enumerate(self.modalities or ()):
            if modality != "text":
                raise unsupported_value(f"modalities[{at}]", modality, "'text'")

    def template_values(self) -> dict[str, Any]:
        """The request's values for the template. Raises APIError for names that a request must not set."""
        values = dict(self.chat_template_kwargs or {})
        if len(values) > MAX_KWARGS:
            raise wrong_length("chat_template_kwargs", "object", "<=", MAX_KWARGS, values)
        for name in values:
            if name in RESERVED_KWARGS or not re.fullmatch(KWARG, name):
                path = f"chat_template_kwargs.{name[:40]}"
                raise bad_request(f"Invalid '{path}': this name cannot be set.", param=path, code="invalid_value")
        if self.reasoning_effort is not None:
            values.setdefault("reasoning_effort", self.reasoning_effort)
        return values

    def _check_tools(self) -> None:
        choice = self.tool_choice
        if choice not in (None, "none", "auto"):
            raise unsupported_value("tool_choice", choice if isinstance(choice, str) else "a named tool", "'none'")
        if self.tools and choice != "none":
            # The model's calls would come back as plain text, which no caller of tools expects.
            raise unsupported_parameter("tools", "Set 'tool_choice' to 'none' to have them left out.")
        if isinstance(self.function_call, dict):
            raise unsupported_value("function_call", "a named function", "'none'")
