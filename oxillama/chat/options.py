"""What a request asks of the model beside its messages: tools, the form of the answer, and reasoning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from oxillama.chat.tools import Tool, ToolChoice
from oxillama.errors import InvalidParameterError

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]

RESERVED_VALUES = frozenset(
    {"add_generation_prompt", "bos_token", "chat_template", "documents", "eos_token", "messages", "template", "tools"}
)
"""Variables of templates that the server sets itself."""

SWITCHES = ("enable_thinking", "thinking")
"""Variables of templates that switch thinking on and off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonSchema:
    """The answer is JSON of this schema. name: for errors. strict: a keyword that cannot be enforced is refused.

    An object of any kind is the schema {"type": "object"}.
    """

    schema: Mapping[str, Any]
    name: str = "response"
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Grammar:
    """The answer is a text of this grammar. syntax: "lark" as llguidance takes it, "gbnf" as llama.cpp does."""

    text: str
    syntax: Literal["lark", "gbnf"]


@dataclass(frozen=True, slots=True)
class Regex:
    """The whole answer matches this regular expression."""

    pattern: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """The answer is one of these texts."""

    texts: tuple[str, ...]


AnswerFormat = JsonSchema | Grammar | Regex | OneOf


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """How much the model thinks before it answers, and what becomes of that.

    enabled: None leaves it to the template and to `effort`. effort: for templates that know degrees; "none" and
    "minimal" switch thinking off where there is a switch. budget: most tokens of reasoning; then it is closed. split:
    reasoning is told apart from the answer; if not, it stays in the answer's text with its tags.

    Raises InvalidParameterError for a budget that is no number or negative.
    """

    enabled: bool | None = None
    effort: Effort | None = None
    budget: int | None = None
    split: bool = True

    def __post_init__(self) -> None:
        if self.budget is None:
            return
        whole = isinstance(self.budget, int) and not isinstance(self.budget, bool)
        if not whole or self.budget < 0:
            problem = f"{self.budget} is below 0" if whole else f"{str(self.budget)[:40]!r} is no whole number"
            raise InvalidParameterError(f"Invalid 'reasoning_budget': {problem}.", param="reasoning_budget")

    @property
    def wanted(self) -> bool | None:
        """Whether to think; None: as the template does by itself."""
        if self.enabled is not None:
            return self.enabled
        if self.budget == 0:
            return False
        return None if self.effort is None else self.effort not in ("none", "minimal")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """What a request asks for.

    tools: those that are offered. parallel: the model may make several calls in one answer. format: the form of the
    answer's text; None: any. values: further variables for the chat template, which go before those of `thinking`.

    Raises InvalidParameterError for a choice of tools that are not there, and for reserved template variables.
    """

    tools: tuple[Tool, ...] = ()
    choice: ToolChoice = field(default_factory=ToolChoice)
    parallel: bool = True
    format: AnswerFormat | None = None
    thinking: Thinking = field(default_factory=Thinking)
    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [tool.name for tool in self.tools]
        if (twice := next((name for name in names if names.count(name) > 1), None)) is not None:
            raise InvalidParameterError(f"Invalid 'tools': there are two functions {twice!r}.", param="tools")
        for name in sorted(self.choice.names or ()):
            if name not in names:
                message = f"Tool choice '{name}' not found in 'tools' parameter."
                raise InvalidParameterError(message, param="tool_choice")
        if self.choice.mode == "required" and not self.choice.allowed(self.tools):
            message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
            raise InvalidParameterError(message, param="tool_choice")
        for name in self.values:
            if name in RESERVED_VALUES:
                path = f"chat_template_kwargs.{name}"
                raise InvalidParameterError(f"Invalid '{path}': this name cannot be set.", param=path)

    @property
    def thinks(self) -> bool | None:
        """Whether to think; None: as the template does by itself. `values` go first."""
        given = [self.values[name] for name in SWITCHES if isinstance(self.values.get(name), bool)]
        return given[0] if given else self.thinking.wanted

    def template_values(self) -> dict[str, Any]:
        """All variables for the template. Families name the switch of thinking differently, so all names are set."""
        found: dict[str, Any] = {}
        if self.thinks is not None:
            found |= dict.fromkeys(SWITCHES, self.thinks)
        if self.thinking.effort is not None:
            found["reasoning_effort"] = self.thinking.effort
        return found | dict(self.values)
