"""POST /v1/chat/completions: the request."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from oxillama.chat.options import RESERVED_VALUES, ChatOptions, Thinking
from oxillama.server.apis.chat.messages import Message
from oxillama.server.apis.chat.parts import MessageForm
from oxillama.server.apis.chat.tools import Choice, Functions, LegacyChoice, Tools, chosen, offered
from oxillama.server.generation.formats import FormatFields
from oxillama.server.generation.sampling import ModelId
from oxillama.server.wire.errors import bad_request
from oxillama.server.wire.fields import NoValue, ReasoningEffort, accepts
from oxillama.server.wire.invalid import unsupported_value, wrong_length

MAX_KWARGS = 64
KWARG = r"^[A-Za-z_][A-Za-z0-9_]*$"

AtLeastOne = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Budget = Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)]

KWARGS = {
    "type": ["object", "null"],
    "maxProperties": MAX_KWARGS,
    "propertyNames": {"pattern": KWARG, "not": {"enum": sorted(RESERVED_VALUES)}},
}
TEXT_ONLY = {"type": ["array", "null"], "items": {"const": "text"}}


class ReasoningFields(FormatFields, frozen=True, kw_only=True):
    """How much the model thinks before it answers, and how that is sent."""

    reasoning_effort: ReasoningEffort | None = None
    enable_thinking: Annotated[
        bool | None, msgspec.Meta(description="Whether to think, for models whose chat template has a switch.")
    ] = None
    reasoning_budget: Annotated[
        Budget | None,
        msgspec.Meta(description="Most tokens of reasoning; then it is closed and the answer begins. -1: no limit."),
    ] = None
    max_reasoning_tokens: Annotated[
        Budget | None, msgspec.Meta(description="Another name of `reasoning_budget`, which has precedence.")
    ] = None
    reasoning_format: Annotated[
        Literal["auto", "deepseek", "none"] | None,
        msgspec.Meta(description="`none` leaves reasoning in the content, with its tags. The others split it off."),
    ] = None
    include_reasoning: Annotated[
        bool | None, msgspec.Meta(description="false: reasoning is not sent; its tokens still count.")
    ] = None

    @property
    def thinking(self) -> Thinking:
        """The fields as an option of the chat layer."""
        budget = self.max_reasoning_tokens if self.reasoning_budget is None else self.reasoning_budget
        return Thinking(
            enabled=self.enable_thinking,
            effort=self.reasoning_effort,
            budget=None if budget == -1 else budget,
            split=self.reasoning_format != "none",
        )


class ChatRequest(ReasoningFields, frozen=True, kw_only=True):
    """Fields of the OpenAI API that are not listed here have no effect and are ignored."""

    model: ModelId
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    max_completion_tokens: AtLeastOne | None = None
    max_tokens: AtLeastOne | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=20)] | None, msgspec.Meta(description="Only with `logprobs`.")
    ] = None
    chat_template_kwargs: Annotated[dict[str, Any] | None, accepts(KWARGS, "Values for the chat template.")] = None

    tools: Tools | None = None
    tool_choice: Choice | None = None
    parallel_tool_calls: Annotated[
        bool | None, msgspec.Meta(description="false: the answer has one call at most.")
    ] = None
    functions: Annotated[Functions | None, msgspec.Meta(description="The older form of `tools`.")] = None
    function_call: Annotated[LegacyChoice | None, msgspec.Meta(description="The older form of `tool_choice`.")] = None
    modalities: Annotated[list[Literal["text", "audio"]] | None, accepts(TEXT_ONLY)] = None
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
        for at, modality in enumerate(self.modalities or ()):
            if modality != "text":
                raise unsupported_value(f"modalities[{at}]", modality, "'text'")

    @property
    def form(self) -> MessageForm:
        """What the answer's messages are like."""
        calls = bool(self.tools or self.functions) and "none" not in (self.tool_choice, self.function_call)
        return MessageForm(calls=calls, legacy=self.legacy, reasoning=self.include_reasoning is not False)

    @property
    def legacy(self) -> bool:
        """Whether the request uses `functions`. Its answer has a `function_call`."""
        return bool(self.functions)

    def options(self) -> ChatOptions:
        """What the request asks of the model. Raises APIError or InvalidParameterError, both with the field's name."""
        if self.tools and self.functions:
            message = "'functions' is the older form of 'tools': a request may have only one of them."
            raise bad_request(message, param="functions", code="invalid_value")
        tools = offered([tool.function for tool in self.tools or ()], "tools")
        functions = offered(self.functions or (), "functions")
        choice = chosen(self.tool_choice, tools, "tool_choice", "tools")
        older = chosen(self.function_call, functions, "function_call", "functions")
        return ChatOptions(
            tools=functions or tools,
            choice=older if self.legacy else choice,
            parallel=self.parallel_tool_calls is not False and not self.legacy,
            format=self.answer_format,
            thinking=self.thinking,
            values=self._template_values(),
        )

    def _template_values(self) -> dict[str, Any]:
        values = dict(self.chat_template_kwargs or {})
        if len(values) > MAX_KWARGS:
            raise wrong_length("chat_template_kwargs", "object", "<=", MAX_KWARGS, values)
        for name in values:
            if not re.fullmatch(KWARG, name):
                path = f"chat_template_kwargs.{name[:40]}"
                raise bad_request(f"Invalid '{path}': this name cannot be set.", param=path, code="invalid_value")
        return values
