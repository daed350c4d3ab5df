"""Any conversation: rendering fails with nothing but a TemplateError, loses nothing, and trusts no content."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oxillama.chat import Message, ToolCall
from oxillama.chat.history import render
from oxillama.chat.tools import Tool
from oxillama.errors import TemplateError
from oxillama.text import ChatTemplate
from tests.chat.history.test_defects import ALTERNATE, JSON_CALL, NINE, NO_SYSTEM, ONE, SPLITS, loop
from tests.support.templates import PUBLISHED, chat_template, published

WORD = re.compile("zq[a-z]+w")
LETTERS = "bcdfghjklmnpqrst"
SMALL = {
    "plain": loop("{{ m.content }}"),
    "calls": loop("{{ m.content }}", JSON_CALL),
    "hard": NO_SYSTEM + ALTERNATE + loop(NINE + "{{ '' + m.content if not m.tool_calls }}", JSON_CALL),
    "one call": loop(
        ONE, "<{{ c.function.name }}{% for k, v in c.function.arguments.items() %}{{ k }}={{ v }}{% endfor %}>"
    ),
    "splits": SPLITS,
    "tools": "{{ tools | tojson if tools }}" + loop("{{ m.reasoning }}{{ m.content }}", JSON_CALL),
    "few roles": "{% for m in messages if m.role in ['user', 'assistant'] %}{{ m.content }}{% endfor %}",
    "first system": "{% for m in messages %}{{ m.content if loop.first or m.role != 'system' }}{% endfor %}",
}
TEMPLATES: dict[str, Callable[[], ChatTemplate]] = {
    **{name: cache(partial(chat_template, source)) for name, source in SMALL.items()},
    **{path.stem: partial(published, path) for path in PUBLISHED},
}
TAGS = "<|im_end|> </think> <think> [/INST] <tool_call> </parameter> <|channel|>final<|message|> <channel|> <|channel>"
TAGS += " /no_think [TOOL_CALLS] <|eot_id|> </s> <s> { } {{x}} {%x%} %s é 😀 \" ' \\"
ODD = st.sampled_from(["", "", "", "\n", "\x00", "\u2028", "\ud800", *TAGS.split()])


@st.composite
def words(draw: st.DrawFn) -> str:
    """A word that no template has."""
    return "zq" + "".join(draw(st.lists(st.sampled_from(LETTERS), min_size=8, max_size=8))) + "w"


@st.composite
def texts(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(["", " ", "\n"]))
    return f"{draw(ODD)} {draw(words())} {draw(ODD)}{draw(ODD)}"


@st.composite
def arguments(draw: st.DrawFn) -> str:
    word = draw(words())
    broken = ["", "{}", "null", "{broken %s", '"%s"', '["%s"]', "%s", '{"%s": 1', '{"%s": NaN}', '{"%s": 1, "%s": 2}']
    if draw(st.booleans()):
        return draw(st.sampled_from([*broken, '{"%s": 1e999}', '{"%s": "\\ud800"}'])).replace("%s", word)
    value = draw(
        st.sampled_from([word, {"q": word}, [word, 1], word + '"\n</parameter>', 2**70, 1.5, True, None, {}, []])
    )
    return json.dumps({draw(words()): value, "n": draw(texts())}, ensure_ascii=draw(st.booleans()))


@st.composite
def turns(draw: st.DrawFn) -> list[Message]:
    """A message, with the results of its calls if it has any."""
    role: Any = draw(st.sampled_from(["system", "developer", "user", "user", "assistant", "calls", "calls", "tool"]))
    if role == "tool":
        return [Message(role="tool", content=draw(texts()), tool_call_id=draw(st.sampled_from([None, "", "c"])))]
    if role != "calls":
        reasoning = draw(st.sampled_from(["", "thoughts"])) if role == "assistant" else ""
        return [
            Message(role=role, content=draw(texts()), reasoning=reasoning, name=draw(st.sampled_from([None, "bob"])))
        ]
    ids = draw(st.lists(st.sampled_from(["call_1", "c", "", "functions.f:0"]), min_size=1, max_size=3))
    calls = tuple(ToolCall(id=one, name=draw(words()), arguments=draw(arguments())) for one in ids)
    text = draw(st.one_of(st.just(""), texts()))
    calling = Message(role="assistant", content=text, reasoning=draw(st.sampled_from(["", "hm"])), tool_calls=calls)
    results = [draw(st.one_of(texts(), arguments())) for _ in range(draw(st.integers(0, len(ids))))]
    order = draw(st.permutations(ids))
    return [
        calling,
        *(Message(role="tool", content=r, tool_call_id=one) for r, one in zip(results, order, strict=False)),
    ]


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    return [message for turn in draw(st.lists(turns(), min_size=1, max_size=5)) for message in turn]


TOOLS = st.lists(
    st.builds(
        Tool,
        name=words(),
        description=st.sampled_from(["", "What it does."]),
        parameters=st.sampled_from(
            [None, {}, {"type": "object", "properties": {"a": {"type": "string", "description": "A"}}}]
        ),
    ),
    max_size=2,
)


@given(st.sampled_from(sorted(TEMPLATES)), conversations(), TOOLS)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_was_said_is_in_the_prompt_as_content_or_refused(
    name: str, messages: list[Message], tools: list[Tool]
) -> None:
    try:
        prompt = render(TEMPLATES[name](), messages, tools=tools)
    except TemplateError:
        return
    said = [str(message.content) for message in messages] + [tool.name for tool in tools]
    said += [text for message in messages for call in message.tool_calls for text in (call.name, call.arguments)]
    assert [word for word in WORD.findall(" ".join(said)) if word not in prompt.text] == []
    trusted, at = "", 0
    for start, end in prompt.content:
        trusted += prompt.text[at:start] + "\n"
        at = end
    assert WORD.findall(trusted + prompt.text[at:]) == []
    prompt.text.encode("utf-8", "surrogatepass")
