"""What a request may ask for."""

from __future__ import annotations

from typing import Any

import pytest

from oxillama.chat.options import ChatOptions, Effort, Thinking
from oxillama.chat.tools import Tool, ToolChoice
from oxillama.errors import InvalidParameterError

WEATHER, TIME = Tool(name="weather"), Tool(name="time")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"tools": (WEATHER, WEATHER)}, "tools"),
        ({"choice": ToolChoice(mode="required")}, "tool_choice"),
        ({"tools": (WEATHER,), "choice": ToolChoice(mode="required", names=frozenset({"time"}))}, "tool_choice"),
        ({"tools": (WEATHER,), "choice": ToolChoice(mode="required", names=frozenset())}, "tool_choice"),
        ({"values": {"messages": []}}, "chat_template_kwargs.messages"),
    ],
)
def test_contradictions_are_refused(asked: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidParameterError) as info:
        ChatOptions(**asked)
    assert info.value.param == param


def test_tools_that_may_be_called() -> None:
    tools = (WEATHER, TIME)
    assert ChatOptions(tools=tools).choice.allowed(tools) == tools
    assert ToolChoice(names=frozenset({"time"})).allowed(tools) == (TIME,)


@pytest.mark.parametrize(
    ("thinking", "wanted"),
    [
        (Thinking(), None),
        (Thinking(enabled=True, effort="none"), True),
        (Thinking(budget=0), False),
        (Thinking(budget=10), None),
        (Thinking(effort="minimal"), False),
        (Thinking(effort="low"), True),
    ],
)
def test_thinking_has_both_switches_of_templates(thinking: Thinking, wanted: bool | None) -> None:
    values = ChatOptions(thinking=thinking).template_values()
    assert (values.get("enable_thinking"), values.get("thinking")) == (wanted, wanted)
    assert ("enable_thinking" in values) == (wanted is not None)


@pytest.mark.parametrize("effort", ["none", "high"])
@pytest.mark.parametrize("switch", ["enable_thinking", "thinking"])
def test_the_requests_own_values_come_first(effort: Effort, switch: str) -> None:
    for own in (True, False):
        options = ChatOptions(thinking=Thinking(effort=effort), values={switch: own, "date": "today"})
        assert options.thinks is own
        assert options.template_values() == {
            "enable_thinking": own,
            "thinking": own,
            "reasoning_effort": effort,
            "date": "today",
        }


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="-1"):
        Thinking(budget=-1)
