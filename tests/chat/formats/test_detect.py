"""Which wire format a template has: by rules, by probing, or the one that is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from oxillama.chat.formats.detect import family_of, format_of
from oxillama.chat.formats.detect.rules import FAMILIES, RULES, by_rules
from oxillama.text import ChatTemplate
from tests.support.replies import Specials, read_tokens, tools


def template(source: str) -> ChatTemplate:
    return ChatTemplate({"default": source}, {"bos_token": "<s>", "eos_token": "</s>"})


def test_the_first_rule_that_fits_wins() -> None:
    assert by_rules("… [TOOL_CALLS] … [CALL_ID] … [ARGS]", None) is FAMILIES["Mistral Small 3.2"]
    assert by_rules("… [TOOL_CALLS] … [ARGS] … [SYSTEM_PROMPT]", None) is FAMILIES["Ministral 3"]
    assert by_rules("… [TOOL_CALLS] …", None) is FAMILIES["Mistral"]
    assert by_rules("'<｜tool▁calls▁begin｜>' … '\\n```json\\n'", None) is FAMILIES["DeepSeek V3"]
    assert by_rules("'<｜tool▁calls▁begin｜>'", None) is FAMILIES["DeepSeek V3.1"]
    tags = "<tool_call> <function= <parameter="
    assert by_rules(tags, None) is FAMILIES["Qwen3-Coder"]
    assert by_rules(f"{tags} <think>", None) is FAMILIES["Qwen3.5"]
    assert by_rules(f"{tags} truncate_history_thinking", None) is FAMILIES["Nemotron 3"]
    assert by_rules("<|open|> <|close|> <|end_of_msg|>", None) is FAMILIES["Kimi K3"]
    assert by_rules("｜DSML｜tool_calls", None) is FAMILIES["DeepSeek V4"]
    assert by_rules("nothing", None) is None
    suffixed = by_rules("<arg_key:x> <tool_sep:x>", None)
    assert suffixed is not None
    assert "<tool_call:x>" in suffixed.texts()
    assert by_rules("nothing", Specials(["<|tools_prefix|>"])) is FAMILIES["Apertus"]


def test_every_rule_names_a_family() -> None:
    assert {rule.family for rule in RULES} - set(FAMILIES) == set()
    assert set(FAMILIES) - {rule.family for rule in RULES} == {"prompted"}


PROBED = """{%- if tools %}SYSTEM {{ tools | tojson }}
{% endif %}{%- for m in messages %}{{ '@' + m.role + '@ ' }}{{ m.content }}"""
ENDS = """{{ '@end@\n' }}{%- endfor %}{% if add_generation_prompt %}{{ '@assistant@ ' }}{% endif %}"""
OBJECTS = """{%- for c in m.tool_calls or [] %}
<use_tool>{"tool": {{ c.function.name | tojson }}, "params": {{ c.function.arguments | tojson }}}</use_tool>
{%- endfor %}"""
LIST = """{%- if m.tool_calls %}<<CALLS>>[{% for c in m.tool_calls %}{{ {"id": c.id, "name": c.function.name,
"arguments": c.function.arguments} | tojson }}{% if not loop.last %}, {% endif %}{% endfor %}]<</CALLS>>{% endif %}"""
LINES = """{%- if m.tool_calls %}<calls>
{% for c in m.tool_calls %}{{ {"name": c.function.name, "arguments": c.function.arguments} | tojson }}
{% endfor %}</calls>{% endif %}"""
NAMED = """{%- if m.tool_calls %}<|section|>{% for c in m.tool_calls %}<|invoke|>{{ c.function.name }}<|with|>{{
c.function.arguments | tojson }}<|done|>{% endfor %}<|close|>{% endif %}"""
CODE = """{%- if m.tool_calls %}<|calls|>[{% for c in m.tool_calls %}{{ c.function.name }}({% for k, v in
c.function.arguments | items %}{{ k }}={{ v | tojson }}{% if not loop.last %}, {% endif %}{% endfor %}){%
if not loop.last %}, {% endif %}{% endfor %}]<|/calls|>{% endif %}"""
TAGS = """{%- for c in m.tool_calls or [] %}
<do>
<action={{ c.function.name }}>
{% for k, v in c.function.arguments | items %}<arg={{ k }}>
{{ v if v is string else v | tojson }}
</arg>
{% endfor %}</action>
</do>{% endfor %}"""
ATTRIBUTES = """{%- if m.tool_calls %}<calls>
{% for c in m.tool_calls %}<do name="{{ c.function.name }}">
{% for k, v in c.function.arguments | items %}<with name="{{ k }}">{{ v if v is string else v | tojson }}</with>
{% endfor %}</do>
{% endfor %}</calls>{% endif %}"""
PAIRS = """{%- for c in m.tool_calls or [] %}<do>{{ c.function.name }}{% for k, v in c.function.arguments | items
%}<k>{{ k }}</k><v>{{ v if v is string else v | tojson }}</v>{% endfor %}</do>{% endfor %}"""
SHAPES = {
    "objects": (OBJECTS, "J"),
    "list": (LIST, "JA"),
    "lines": (LINES, "J"),
    "named": (NAMED, "NJ"),
    "code": (CODE, "P"),
    "tags": (TAGS, "XE"),
    "attributes": (ATTRIBUTES, "XA"),
    "pairs": (PAIRS, "KV"),
}
THINKS = """{%- if m.reasoning_content %}<mind>
{{ m.reasoning_content }}
</mind>
{% endif %}"""


@pytest.mark.parametrize("name", SHAPES)
def test_a_format_that_nobody_has_heard_of_is_found_by_probing(name: str) -> None:
    calls, shape = SHAPES[name]
    made = template(PROBED.replace("{{ m.content }}", "{{ m.content or '' }}") + calls + ENDS)
    found = format_of(made, None)
    assert format_of(made, None) is found
    assert (found.family.name, found.family.shape.name) == ("found by probing", shape)
    given: list[dict[str, Any]] = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "Well"}]
    functions = [
        {"name": "f", "arguments": {"a": 1}},
        {"name": "g", "arguments": {}},
        {"name": "f", "arguments": {"b": []}},
    ]
    given[1]["tool_calls"] = [
        {"id": f"call{n}", "type": "function", "function": function} for n, function in enumerate(functions)
    ]
    text = made.render(given, tools=[{"type": "function", "function": {"name": "f"}}], add_generation_prompt=False).text
    reply = text[text.index("Well") :].removesuffix("@end@\n")
    offered = tools("g", f={"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "array"}}})
    read = read_tokens(found.parser(offered), Specials(()).tokens(reply))
    assert read.content.strip() == "Well"
    assert read.values == [(function["name"], function["arguments"]) for function in functions]
    made.close()


def test_unknown_tags_of_reasoning_are_found_by_probing() -> None:
    made = template(PROBED.replace("{{ m.content }}", THINKS + "{{ m.content or '' }}") + OBJECTS + ENDS)
    read = read_tokens(format_of(made, None).parser(), Specials(()).tokens("<mind>\nhm\n</mind>\nyes"))
    assert (read.reasoning, read.content) == ("hm", "yes")
    made.close()


@pytest.mark.parametrize(
    "source", ["{% for m in messages %}{{ m.content }}{% endfor %}", "{{ raise_exception('no') }}"]
)
def test_a_template_without_tools_is_asked_for_calls(source: str) -> None:
    family = family_of(template(source), None)
    assert (family.name, family.native, family.shape.name) == ("prompted", False, "J")
    assert family.reasoning == ()
    assert family_of(template(source), Specials((), ["<think>"])).reasoning[0].open == "<think>"


def test_a_native_template_that_hides_tools_is_read_in_both_ways() -> None:
    source = "{% for m in messages %}{{ m.content }}{% endfor %}{# <tool_call> [TOOL_CALLS] [CALL_ID] #}"
    found = format_of(template(source), None)
    assert (found.family.name, found.family.native) == ("Mistral Small 3.2", False)
    thinking = family_of(template(source.replace("CALL_ID", "CALL_ID] <think> [")), None)
    assert [tags.open for tags in thinking.reasoning] == ["<think>"]
    for reply in (
        "[TOOL_CALLS]f[CALL_ID]123456789[ARGS]{}",
        '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>',
    ):
        assert read_tokens(found.parser(tools("f")), Specials(()).tokens(reply)).calls == [("f", "{}")]
