"""Tools reach the prompt: in the form that the template takes, in the template made for them, or as instructions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oxillama.chat import Message
from oxillama.chat.history import dialect_of, render
from oxillama.chat.tools import Tool
from oxillama.errors import TemplateError
from oxillama.text import ChatTemplate, PromptText
from tests.support.templates import PUBLISHED, chat_template, published

USER = Message(role="user", content="Weather?")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool(name="get_weather", description="Tells it.", parameters=SCHEMA, strict=True)
PING = Tool(name="ping")
LOOP = "{% for m in messages %}[{{ m.role }}:{{ m.content }}]{% endfor %}"
FORMS = {
    "nested": "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}",
    "the function of each": "{% for t in tools or [] %}{{ t.function | tojson }}{% endfor %}",
    "flat": "{% for t in tools or [] %}{{ t.name }}{{ t.description }}{{ t.parameters | tojson }}{% endfor %}",
    "under another name": "{% for f in functions or [] %}{{ f | tojson }}{% endfor %}",
}


def text(source: str, *messages: Message, **values: Any) -> str:
    return render(chat_template(source), messages, **values).text


@pytest.mark.parametrize("name", FORMS)
def test_tools_are_passed_as_the_template_takes_them(name: str) -> None:
    function = {"name": "get_weather", "description": "Tells it.", "parameters": SCHEMA}
    expected = {
        "nested": json.dumps({"type": "function", "function": function}),
        "flat": f"get_weatherTells it.{json.dumps(SCHEMA)}",
    }
    shown = expected.get(name, json.dumps(function))
    assert text(FORMS[name] + LOOP, USER, tools=[WEATHER]) == f"{shown}[user:Weather?]"
    assert text(FORMS[name] + LOOP, USER) == "[user:Weather?]"


def test_a_tool_says_no_more_than_the_client_said_where_the_template_allows() -> None:
    assert text(FORMS["the function of each"] + LOOP, USER, tools=[PING]) == '{"name": "ping"}[user:Weather?]'
    needs = "{% for t in tools or [] %}{{ t.function.name + t.function.description }}"
    needs += "{{ t.function.parameters.properties | length }}{% for p in t.function.parameters.properties %}{{ p }}"
    needs += "{% endfor %}{% endfor %}"
    assert text(needs + LOOP, USER, tools=[PING, WEATHER]) == "ping0get_weatherTells it.1city[user:Weather?]"


def test_tools_that_a_template_leaves_out_are_instructions() -> None:
    system = Message(role="system", content="Be kind.")
    found = text(LOOP, system, USER, tools=[WEATHER, PING])
    head, user = found.split("][")
    assert head.startswith("[system:Be kind.\n\n# Tools\n")
    assert '"name": "get_weather", "description": "Tells it.", "parameters": {"type": "object"' in head
    assert '<tool_call>\n{"name": "name_of_function", "arguments": {"name_of_argument": "value"}}\n</tool_call>' in head
    assert user == "user:Weather?]"
    assert text(LOOP, USER, tools=[PING]).startswith("[system:# Tools\n")


def test_the_instructions_say_how_the_model_writes_calls() -> None:
    def write(calls: Any) -> PromptText:
        return PromptText("".join(f"«{call.name}»" for call in calls))

    prompt = render(chat_template(LOOP), [USER], tools=[WEATHER], write=write)
    assert "\n«name_of_function»\n" in prompt.text
    content = "".join(prompt.text[start:end] for start, end in prompt.content)
    assert "get_weather" in content
    assert "#" not in content
    assert "«" not in content


def test_tools_in_instructions_are_where_instructions_may_be() -> None:
    refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + LOOP
    assert text(refuses, USER, tools=[PING]).startswith("[user:# Tools\n")
    assert text(refuses, USER, tools=[PING]).endswith("\n\nWeather?]")


def test_a_file_with_a_template_for_tools_uses_it_only_with_tools() -> None:
    both = chat_template(LOOP, tool_use="{{ raise_exception('none') if not tools }}{{ tools | tojson }}" + LOOP)
    assert render(both, [USER]).text == "[user:Weather?]"
    assert render(both, [USER], tools=[PING]).text.startswith(
        '[{"type": "function", "function": {"name": "ping"}}][user'
    )


def test_what_a_template_does_is_probed_with_tools_if_there_are_tools() -> None:
    """Here instructions vanish as soon as tools are offered."""
    source = (
        "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}{% if m.role != 'system' or not tools %}"
        "[{{ m.role }}:{{ m.content }}]{% endif %}{% endfor %}"
    )
    system = Message(role="system", content="Be kind.")
    assert text(source, system, USER) == "[system:Be kind.][user:Weather?]"
    assert text(source, system, USER, tools=[PING]).endswith("[user:Be kind.\n\nWeather?]")
    template = chat_template(source)
    assert [dialect_of(template, tools).system for tools in (False, True)] == ["anywhere", "none"]


def test_a_template_that_refuses_none_gets_an_empty_list() -> None:
    source = "{% for t in tools %}{{ t.function | tojson }}{% endfor %}" + LOOP
    assert text(source, USER) == "[user:Weather?]"
    assert text(source, USER, tools=[PING]) == '{"name": "ping"}[user:Weather?]'


def test_a_template_that_shows_only_the_names_of_tools_does_not_count_as_showing_them() -> None:
    source = "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}" + LOOP
    assert text(source, USER, tools=[WEATHER]).startswith("[system:# Tools\n")


ODD: dict[str, Any] = {
    "type": "object",
    "properties": {
        "place": {"type": ["string", "null"], "description": None, "default": None},
        "type": {"type": "string", "default": "x"},
        "any": True,
    },
    "required": None,
    "default": {},
}


def test_schemas_at_which_a_template_fails_are_made_simpler() -> None:
    source = (
        "{% for t in tools or [] %}{{ t.function.name }}{{ t.function.description }}("
        "{% for name, p in t.function.parameters.properties.items() %}"
        "{{ name + ':' + (p.type or '?') + (p.description or '') }}{{ '!' if name in t.function.parameters.required }}"
        "{{ raise_exception('default') if p.default is defined }};{% endfor %}){% endfor %}"
    )
    tool = Tool(name="find", description="Finds.", parameters=ODD)
    assert text(source + LOOP, USER, tools=[tool]) == "findFinds.(place:string;type:string;any:?;)[user:Weather?]"
    assert '["string", "null"]' in text(FORMS["nested"] + LOOP, USER, tools=[tool])


def test_tools_at_which_a_template_fails_anyway_are_instructions() -> None:
    source = "{% for t in tools or [] %}{{ t.function | tojson }}{{ raise_exception('any') if 'anyOf' in t | string }}"
    tool = Tool(name="find", parameters={"anyOf": [{"type": "object"}]})
    found = text(source + "{% endfor %}" + LOOP, USER, tools=[tool])
    assert found.startswith("[system:# Tools\n")
    assert '"anyOf"' in found


def test_schemas_that_are_not_json_are_made_simpler_or_refused() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"items": deep}
    for schema in (deep, {"default": object()}):
        tools = [Tool(name="find", parameters=schema)]
        assert '"name": "find"' in text(FORMS["nested"] + LOOP, USER, tools=tools)
        with pytest.raises(TemplateError, match=r"^The schema of the tool 'find' is not JSON: "):
            text(LOOP, USER, tools=tools)


@pytest.mark.skipif(not PUBLISHED, reason="needs ../shared/templates")
@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_templates_take_schemas_as_clients_send_them(path: Path) -> None:
    kinds: list[Any] = [
        *(
            {},
            True,
            {"type": ["string", "null"]},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            {"$ref": "#/$defs/A"},
        ),
        *({"enum": [1, None]}, {"type": "integer", "enum": [1], "default": 1}, {"type": "array"}, {"const": 1}),
        *({"type": "array", "items": {"type": ["string", "integer"]}}, {"oneOf": [{"type": "string"}], "default": 2}),
        *({"type": "object", "additionalProperties": False}, {"type": "array", "prefixItems": [{"type": "string"}]}),
    ]
    schema = {"type": "object", "properties": {f"zorb{n}": kind for n, kind in enumerate(kinds)}, "$defs": {"A": {}}}
    tools = [Tool(name="plumqat", parameters=schema), Tool(name="fnirkad", parameters=ODD)]
    found = render(published(path), [USER], tools=tools).text
    words = ["plumqat", "fnirkad", "place", *(f"zorb{n}" for n in range(len(kinds)))]
    assert [word for word in words if word not in found] == []


def test_a_model_without_a_template_is_offered_tools_too() -> None:
    found = render(ChatTemplate({}, {}), [USER], tools=[WEATHER]).text
    assert found.startswith("<|system|>\n# Tools\n")
    assert "get_weather" in found
