"""POST /v1/chat/completions: the request."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from oxillama.server.apis.chat.messages import Message
from oxillama.server.generation.sampling import (
    SamplingFields,
    choice_of,
    json_type,
    unsupported_parameter,
    unsupported_value,
)
from oxillama.server.wire.errors import bad_request
from oxillama.server.wire.invalid import invalid_type, missing_parameter

# What a template is given by the server; a request may add values of its own, but neither these nor a template.
RESERVED_KWARGS = frozenset(
    {"add_generation_prompt", "bos_token", "chat_template", "documents", "eos_token", "messages", "template", "tools"}
)
REASONING_EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]

AtLeastOne = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class ChatRequest(SamplingFields, kw_only=True):
    """The fields that have an effect, or that must not be ignored. Harmless ones are not even looked at."""

    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    max_completion_tokens: AtLeastOne | None = None
    max_tokens: AtLeastOne | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    reasoning_effort: Any = None

    chat_template: Any = None
    response_format: Any = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    functions: list[Any] | None = None
    function_call: Any = None
    modalities: list[str] | None = None
    audio: Any = None

    @property
    def limit(self) -> int | None:
        """The newer name wins; None is bounded by the context."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def n_top_logprobs(self) -> int | None:
        """How many alternatives to report beside each token; None: no log-probabilities at all."""
        return (self.top_logprobs or 0) if self.logprobs else None

    def check(self) -> None:
        """Raise APIError for what cannot be honoured."""
        self.check_common()
        if self.top_logprobs is not None and not self.logprobs:
            message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."
            raise bad_request(message, param="top_logprobs", code="invalid_value")
        if self.chat_template is not None:
            raise unsupported_parameter("chat_template", "The chat template is the model's.")
        self._check_format()
        self._check_tools()
        if self.audio is not None:
            raise unsupported_parameter("audio")
        for at, modality in enumerate(self.modalities or ()):
            if modality != "text":
                raise unsupported_value(f"modalities[{at}]", modality, "'text'")

    def template_values(self) -> dict[str, Any]:
        """Values of the request's own for the template. Raises APIError for names that are not theirs to set."""
        values = dict(self.chat_template_kwargs or {})
        for name in values:
            path = f"chat_template_kwargs.{name[:40]}"
            if name in RESERVED_KWARGS or not name.isidentifier():
                raise bad_request(f"Invalid '{path}': this name cannot be set.", param=path, code="invalid_value")
        if self.reasoning_effort is not None:
            values.setdefault(
                "reasoning_effort", choice_of("reasoning_effort", self.reasoning_effort, REASONING_EFFORTS)
            )
        return values

    def _check_format(self) -> None:
        if self.response_format is None:
            return
        if not isinstance(self.response_format, dict):
            raise invalid_type("response_format", ["object"], json_type(self.response_format))
        if "type" not in self.response_format:
            raise missing_parameter("response_format.type")
        wanted = choice_of("response_format.type", self.response_format["type"], ["text", "json_object", "json_schema"])
        if wanted != "text":
            raise unsupported_value("response_format.type", wanted, "'text'")

    def _check_tools(self) -> None:
        for at, tool in enumerate(self.tools or ()):
            kind = tool.get("type") if isinstance(tool, dict) else None
            if kind != "function":
                raise unsupported_value(f"tools[{at}].type", kind, "'function'")
        choice = self.tool_choice
        if choice is not None and not isinstance(choice, (str, dict)):
            raise invalid_type("tool_choice", ["str", "object"], json_type(choice))
        if isinstance(choice, str):
            choice_of("tool_choice", choice, ["none", "auto", "required"])
        if choice not in (None, "none", "auto"):
            raise unsupported_value("tool_choice", choice if isinstance(choice, str) else "a named tool", "'none'")
        if self.tools and choice != "none":
            # The model's calls would come back as plain text, which no caller of tools expects.
            raise unsupported_parameter("tools", "Set 'tool_choice' to 'none' to have them left out.")
        if self.functions:
            raise unsupported_parameter("functions")
        if self.function_call not in (None, "none", "auto"):
            raise unsupported_parameter("function_call")
