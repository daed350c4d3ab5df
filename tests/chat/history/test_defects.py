"""Each thing that a published template gets wrong, in a small template that does only this.

Whatever the template does, what was said is in the prompt, and nothing in a client's history fails the request.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from oxillama.chat import Message, ToolCall
from oxillama.chat.history import dialect_of, render
from oxillama.chat.history.writing import without_tags
from oxillama.errors import TemplateError
from tests.support.templates import chat_template

USER = Message(role="user", content="Weather?")
CALL = ToolCall(id="call_0123456789", name="get_weather", arguments='{"city": "Paris", "at": {"lat": [48, 2]}}')
OTHER = ToolCall(id="call_9876543210", name="get_time", arguments='{"zone": "CET"}')
BOTH = Message(role="assistant", tool_calls=(CALL, OTHER))
CALLING = Message(role="assistant", tool_calls=(CALL,))
RESULT = Message(role="tool", tool_call_id=CALL.id, content="21 degrees")
NOON = Message(role="tool", tool_call_id=OTHER.id, content="noon")
ANSWER = Message(role="assistant", content="Warm.")
THANKS = Message(role="user", content="Thanks.")


def loop(body: str, calls: str = "") -> str:
    """A template that writes messages as `[role:body]`. calls: how it writes a call, if it does."""
    calls = "{% for c in m.tool_calls or [] %}" + calls + "{% endfor %}" if calls else ""
    return "{% for m in messages %}[{{ m.role }}:" + body + calls + "]{% endfor %}"


JSON_CALL = "<{{ c.function.name }} {{ c.function.arguments | tojson }}>"
SHOWN = '<get_weather {"city": "Paris", "at": {"lat": [48, 2]}}>'
PLAIN = loop("{{ m.content }}", JSON_CALL)


def text(source: str, *messages: Message, **values: Any) -> str:
    return render(chat_template(source), messages, **values).text


ARGUMENTS = {
    "escapes a text": JSON_CALL,
    "wants an object": "<{{ c.function.name }} {{ '{' }}"
    "{% for k, v in c.function.arguments.items() %}{{ k | tojson }}: {{ v | tojson }}{{ ', ' if not loop.last }}"
    "{% endfor %}{{ '}' }}>",
    "refuses a text": "{% if c.function.arguments is string %}{{ raise_exception('text') }}{% endif %}" + JSON_CALL,
    "wants a text": "<{{ c.function.name }} {{ c.function.arguments | from_json | tojson }}>",
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_are_passed_as_the_template_takes_them(name: str) -> None:
    source = loop("{{ m.content }}", ARGUMENTS[name])
    assert text(source, USER, CALLING, RESULT) == f"[user:Weather?][assistant:{SHOWN}][tool:21 degrees]"


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize("broken", ["", "{broken", "[1]", "7", '"x"', '{"a": 1, "a": 2}', '{"a": 1e999}', "[" * 99999])
def test_broken_arguments_never_fail_a_request(name: str, broken: str) -> None:
    calling = Message(role="assistant", tool_calls=(ToolCall(id="x", name="get_weather", arguments=broken),))
    found = text(loop("{{ m.content }}", ARGUMENTS[name]), USER, calling, Message(role="tool", tool_call_id="x"))
    assert broken in found.replace('\\"', '"')
    assert ("{}" in found) == (not broken)


def test_arguments_that_are_no_object_are_shown_as_they_are_where_that_is_possible() -> None:
    calls = "<{{ c.function.name }} {% if c.function.arguments is string %}{{ c.function.arguments }}{% else %}"
    calls += "{{ c.function.arguments | tojson }}{% endif %}>"
    calling = Message(role="assistant", tool_calls=(ToolCall(id="x", name="f", arguments='{"a": broken}'),))
    assert '<f {"a": broken}>' in text(loop("{{ m.content }}", calls), USER, calling)
    assert '{"arguments": "{\\"a\\": broken}"}' in text(PLAIN, USER, calling)


def test_values_that_would_be_printed_as_python_are_passed_as_json() -> None:
    bare = "{% for k, v in c.function.arguments.items() %}<{{ c.function.name }} {{ k }}={{ v }}>{% endfor %}"
    assert '<get_weather city=Paris><get_weather at={"lat": [48, 2]}>' in text(
        loop("{{ m.content }}", bare), USER, CALLING
    )
    quoted = bare.replace("{{ v }}", "{{ [v] }}")  # Python is what the model of this template writes
    assert "at=[{'lat': [48, 2]}]" in text(loop("{{ m.content }}", quoted), USER, CALLING)


NULLS = {
    "content must be a text": "{{ '' + m.content }}",
    "None is printed": "{{ m.content }}",
    "the empty text is a turn of its own": "{% if m.content is not none %}({{ m.content }}){% endif %}",
    "only None is a call": "{% if m.content is none %}{% for c in m.tool_calls %}" + JSON_CALL + "{% endfor %}"
    "{% else %}{{ m.content }}{% endif %}",
}


@pytest.mark.parametrize("name", NULLS)
def test_a_message_with_nothing_but_calls_has_the_content_that_the_template_expects(name: str) -> None:
    source = loop(NULLS[name], "" if "for c" in NULLS[name] else JSON_CALL)
    found = text(source, USER, CALLING, RESULT)
    assert f"[assistant:{SHOWN}]" in found
    assert "None" not in found


ROLES = "['system', 'user', 'assistant', 'tool']"
LISTED = "{% for m in messages if m.role in " + ROLES + " %}[{{ m.role }}:{{ m.content }}]{% endfor %}"
UNKNOWN = "{% if m.role == 'developer' %}{{ raise_exception('no') }}{% endif %}{{ m.content }}"
DEVELOPERS = {
    "vanishes": (LISTED, "[system:Be kind.][user:Weather?]"),
    "is refused": (loop(UNKNOWN), "[system:Be kind.][user:Weather?]"),
    "is printed as any role is": (loop("{{ m.content }}"), "[system:Be kind.][user:Weather?]"),
    "is one of its own": (loop(UNKNOWN.replace("raise_exception('no')", "1")), "[developer:1Be kind.][user:Weather?]"),
}  # fmt: skip


@pytest.mark.parametrize("name", DEVELOPERS)
def test_a_developers_message_is_the_systems_unless_the_template_knows_developers(name: str) -> None:
    source, expected = DEVELOPERS[name]
    assert text(source, Message(role="developer", content="Be kind."), USER) == expected


NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
ALTERNATE = (
    "{% set ns = namespace(n=0) %}"
    "{% for m in messages if m.role != 'system' and m.role != 'tool' and not m.tool_calls %}"
    "{% if (m.role == 'user') != (ns.n % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% set ns.n = ns.n + 1 %}{% endfor %}"
)


def test_instructions_that_are_refused_begin_the_users_message() -> None:
    system = Message(role="system", content="Be kind.")
    assert text(NO_SYSTEM + PLAIN, system, USER, ANSWER, THANKS).startswith(
        "[user:Be kind.\n\nWeather?][assistant:Warm.]"
    )
    assert text(NO_SYSTEM + PLAIN, system) == "[user:Be kind.]"


def test_instructions_that_only_the_beginning_may_have_move() -> None:
    source = "{% for m in messages %}{% if m.role != 'system' or loop.first %}[{{ m.role }}:{{ m.content }}]{% endif %}"
    source += "{% endfor %}"
    one, two, three = (Message(role="system", content=word) for word in ("One.", "Two.", "Three."))
    assert text(source, one, two, USER, ANSWER, three, THANKS) == (
        "[system:One.\n\nTwo.][user:Weather?][assistant:Warm.][user:Three.\n\nThanks.]"
    )
    assert text(source, USER, three) == "[user:Weather?][user:Three.]"


def test_the_last_instructions_do_not_replace_the_first() -> None:
    source = (
        "{% set ns = namespace(s='') %}"
        "{% for m in messages if m.role == 'system' %}{% set ns.s = m.content %}{% endfor %}"
        "[system:{{ ns.s }}]{% for m in messages if m.role != 'system' %}[{{ m.role }}:{{ m.content }}]{% endfor %}"
    )
    first, later = Message(role="system", content="Be kind."), Message(role="system", content="Be brief.")
    assert text(source, first, USER, ANSWER, later, THANKS) == (
        "[system:Be kind.][user:Weather?][assistant:Warm.][user:Be brief.\n\nThanks.]"
    )


@pytest.mark.parametrize("place", ["last", "first"])
def test_instructions_stay_while_tools_are_used(place: str) -> None:
    """Some templates write the instructions into a user's message, but only if it is the last of all."""
    which = "loop.last" if place == "last" else "loop.first and messages[-1].role == 'user'"
    source = (
        "{% set s = messages[0].content if messages[0].role == 'system' %}"
        "{% for m in (messages[1:] if s else messages) %}[{{ m.role }}:"
        "{% if s and m.role == 'user' and " + which + " %}{{ s }}\n\n{% endif %}{{ m.content }}"
        "{% for c in m.tool_calls or [] %}" + JSON_CALL + "{% endfor %}]{% endfor %}"
    )
    system = Message(role="system", content="Be kind.")
    asked = text(source, system, USER, ANSWER, THANKS)
    running = text(source, system, USER, ANSWER, THANKS, CALLING, RESULT)
    assert asked.count("Be kind.") == 1
    assert running == f"{asked}[assistant:{SHOWN}][tool:21 degrees]"


def test_users_and_assistants_take_turns_if_they_must() -> None:
    messages = [USER, THANKS, ANSWER, ANSWER, THANKS]
    assert text(ALTERNATE + PLAIN, *messages) == ("[user:Weather?\n\nThanks.][assistant:Warm.\n\nWarm.][user:Thanks.]")
    assert text(PLAIN, *messages) == ("[user:Weather?][user:Thanks.][assistant:Warm.][assistant:Warm.][user:Thanks.]")


@pytest.mark.parametrize(
    "messages",
    [
        [USER, CALLING, RESULT, THANKS],
        [USER, CALLING, RESULT, ANSWER, CALLING, RESULT, ANSWER, THANKS],
        [ANSWER, THANKS],
        [CALLING, RESULT, ANSWER],
        [USER, ANSWER, CALLING, RESULT],
        [USER, Message(role="assistant", content="Let me see.", tool_calls=(CALL,)), RESULT, ANSWER, THANKS],
    ],
)
def test_any_order_of_messages_can_be_rendered_if_roles_must_alternate(messages: list[Message]) -> None:
    found = text(ALTERNATE + loop("{{ m.content if not m.tool_calls }}", JSON_CALL), *messages)
    at = 0
    for message in messages:
        words = [str(message.content), *(call.name for call in message.tool_calls)]
        for word in words:
            at = found.index(word, at)


def written(calls: Any) -> Any:
    return "".join(f"«{call.name}»" for call in calls)


def test_calls_that_a_template_loses_are_written_as_the_model_writes_them() -> None:
    from oxillama.text import PromptText

    def write(calls: Any) -> PromptText:
        return PromptText.of_content(written(calls))

    said = Message(role="assistant", content="Let me see.", tool_calls=(CALL, OTHER))
    found = text(loop("{{ m.content }}"), USER, said, RESULT, NOON, write=write)
    assert "[assistant:Let me see.\n«get_weather»«get_time»][tool:21 degrees][tool:noon]" in found


def test_results_that_look_like_a_users_words_are_marked() -> None:
    source = "{% for m in messages %}[{{ 'user' if m.role == 'tool' else m.role }}:{{ m.content }}]{% endfor %}"
    assert text(source, USER, CALLING, RESULT).endswith("[user:<tool_response>\n21 degrees\n</tool_response>]")


def test_results_follow_their_calls_in_order_and_have_names() -> None:
    source = loop("{{ m.name }}={{ m.content }}", JSON_CALL)
    found = text(source, USER, BOTH, NOON, RESULT)
    assert found.endswith("[tool:get_weather=21 degrees][tool:get_time=noon]")


ONE = "{% if m.tool_calls and m.tool_calls | length > 1 %}{{ raise_exception('one') }}{% endif %}{{ m.content }}"


def test_calls_go_one_by_one_if_they_must() -> None:
    found = text(loop(ONE, JSON_CALL), USER, BOTH, NOON, RESULT)
    assert found == (
        f'[user:Weather?][assistant:{SHOWN}][tool:21 degrees][assistant:<get_time {{"zone": "CET"}}>][tool:noon]'
    )


LET_ME = Message(role="assistant", content="Let me see.", tool_calls=(CALL,))


def test_a_text_that_vanishes_beside_calls_becomes_a_message() -> None:
    source = loop("{{ m.content if not m.tool_calls }}", JSON_CALL)
    expected = f"[user:Weather?][assistant:Let me see.][assistant:{SHOWN}][tool:21 degrees]"
    assert text(source, USER, LET_ME, RESULT) == expected
    assert text(loop("{{ m.content }}", JSON_CALL), USER, LET_ME, RESULT) == (
        f"[user:Weather?][assistant:Let me see.{SHOWN}][tool:21 degrees]"
    )


def test_a_text_that_vanishes_beside_calls_of_finished_turns_becomes_a_message_then() -> None:
    finished = "(messages[-1].role == 'user')"
    source = loop("{{ m.content if not (m.tool_calls and " + finished + ") }}", JSON_CALL)
    assert f"[assistant:Let me see.{SHOWN}]" in text(source, USER, LET_ME, RESULT)
    assert f"[assistant:Let me see.][assistant:{SHOWN}]" in text(source, USER, LET_ME, RESULT, ANSWER, THANKS)


def test_text_and_reasoning_beside_calls_become_one_if_both_are_refused() -> None:
    both = "{% if m.tool_calls and m.content and m.thinking %}{{ raise_exception('both') }}{% endif %}"
    source = loop(both + "{% if m.thinking %}({{ m.thinking }}){% endif %}{{ m.content }}", JSON_CALL)
    message = Message(role="assistant", content="Let me see.", reasoning="Hm.", tool_calls=(CALL,))
    assert f"[assistant:(Hm.\n\nLet me see.){SHOWN}]" in text(source, USER, message, RESULT)


NINE = (
    "{% for c in m.tool_calls or [] %}{% if c.id | length != 9 %}{{ raise_exception('nine') }}{% endif %}{% endfor %}"
)


def test_ids_have_nine_characters_if_they_must_and_stay_the_same() -> None:
    source = loop(NINE + "{{ m.tool_call_id }}{{ m.content }}", "{{ c.id }}" + JSON_CALL)
    one = text(source, USER, BOTH, NOON, RESULT)
    two = text(source, USER, BOTH, NOON, RESULT, ANSWER, THANKS)
    assert two.startswith(one)
    short = one.split("[assistant:")[1][:9]
    assert short.isalnum()
    assert one.count(short) == 2
    mine = Message(role="assistant", tool_calls=(ToolCall(id="abc123XYZ", name="f", arguments="{}"),))
    assert "[assistant:abc123XYZ<f" in text(source, USER, mine)


def test_ids_name_the_function_where_the_template_shows_nothing_else() -> None:
    source = loop("{{ m.content }}", "<{{ c.id }} {{ c.function.arguments | tojson }}>")
    found = text(source, USER, BOTH, NOON, RESULT, ANSWER, THANKS, CALLING, RESULT)
    names = [part.split(" ")[0] for part in found.split("<")[1:]]
    assert names == ["functions.get_weather:0", "functions.get_time:1", "functions.get_weather:2"]
    own = Message(role="assistant", tool_calls=(ToolCall(id="functions.f:7", name="f", arguments="{}"),))
    assert "<functions.f:7 " in text(source, USER, own)


def test_a_result_is_an_object_if_a_text_would_be_escaped() -> None:
    result = Message(role="tool", tool_call_id=CALL.id, content='{"degrees": 21}')
    assert text(loop("{{ m.content | tojson }}", JSON_CALL), USER, CALLING, result).endswith('[tool:{"degrees": 21}]')
    assert text(loop("{{ m.content }}", JSON_CALL), USER, CALLING, result).endswith('[tool:{"degrees": 21}]')
    fields = "{% if m.content is mapping %}{% for k, v in m.content.items() %}{{ k }}={{ v }};{% endfor %}{% else %}"
    assert text(loop(fields + "{{ m.content }}{% endif %}", JSON_CALL), USER, CALLING, result).endswith(
        "[tool:degrees=21;]"
    )
    words = Message(role="tool", tool_call_id=CALL.id, content='{"a": 1, "a": 2}')  # an object would lose a part
    assert text(loop("{{ m.content | tojson }}", JSON_CALL), USER, CALLING, words).endswith(
        '"{\\"a\\": 1, \\"a\\": 2}"]'
    )


THOUGHT = Message(role="assistant", content="Warm.", reasoning="It is June.")
PARTS = (
    "{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{% if p.type == 'thinking' %}"
    "({{ %s }}){% elif p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %}{% endif %}"
)


@pytest.mark.parametrize("inner", ["'' ~ p.thinking", "p.thinking[0].text"])
def test_reasoning_is_a_part_of_the_content_where_the_template_takes_parts(inner: str) -> None:
    if inner.startswith("''"):
        inner = "p.thinking if p.thinking is string else raise_exception('text')"
    assert text(loop(PARTS.replace("%s", inner)), USER, THOUGHT) == "[user:Weather?][assistant:(It is June.)Warm.]"


def test_a_template_that_prints_parts_as_they_are_gets_no_reasoning_as_a_part() -> None:
    found = text(loop("{{ m.content }}"), USER, THOUGHT)
    assert found.endswith("[assistant:<think>\nIt is June.\n</think>\n\nWarm.]")


SPLITS = loop("{{ m.content.split('</think>')[-1] if m.role == 'assistant' else m.content }}")
FIELD = loop(
    "{% if m.reasoning_content is string %}({{ m.reasoning_content }}){{ m.content }}"
    "{% else %}{{ m.content.split('</think>')[-1] }}{% endif %}"
)


def test_reasoning_in_the_text_becomes_reasoning_where_the_template_would_cut_it() -> None:
    said = Message(role="assistant", content="<think>\nIt is June.\n</think>\n\nWarm.")
    assert text(FIELD, USER, said, THANKS) == "[user:Weather?][assistant:(It is June.)Warm.][user:Thanks.]"
    assert text(SPLITS, USER, said, THANKS) == "[user:Weather?][assistant:Warm.][user:Thanks.]"
    assert "<think>\nIt is June." in text(PLAIN, USER, said, THANKS)


@pytest.mark.parametrize("source", [SPLITS, FIELD])
def test_a_tag_in_the_text_cuts_nothing_off(source: str) -> None:
    said = Message(role="assistant", content="The tag is </think> in XML, </</think>think> too.")
    assert "The tag is  in XML,  too." in text(source, USER, said, THANKS)
    asked = Message(role="user", content="What is </think>?")
    assert "What is </think>?" in text(SPLITS, asked)


def test_a_tag_that_is_refused_is_taken_out() -> None:
    source = loop("{% if '<|channel|>final' in m.content %}{{ raise_exception('tags') }}{% endif %}{{ m.content }}")
    said = Message(role="assistant", content="<|channel|>final Warm.")
    assert text(source, USER, said) == "[user:Weather?][assistant: Warm.]"
    asked = Message(role="user", content="<|channel|>final")
    with pytest.raises(TemplateError, match="tags"):
        text(source, asked)


def test_variables_reach_the_template() -> None:
    source = loop("{{ m.content }}") + "{{ thinking }} {{ clear_thinking }}"
    assert text(source, USER, thinking="low", clear_thinking=False) == "[user:Weather?]low False"


def test_a_message_that_vanishes_for_any_other_reason_is_refused() -> None:
    source = "{% for m in messages %}{% if loop.index0 != 4 %}[{{ m.role }}:{{ m.content }}]{% endif %}{% endfor %}"
    with pytest.raises(TemplateError, match=r"^The model's chat template leaves out what the user says\.$"):
        text(source, USER, ANSWER, USER, ANSWER, THANKS)


def test_words_that_a_template_takes_for_its_own_do_not_count_as_lost() -> None:
    source = loop("{{ m.content | replace('/no_think', '') | replace('Paris', 'Rome') }}")
    assert text(source, Message(role="user", content="/no_think"), ANSWER, Message(role="user", content="Paris")) == (
        "[user:][assistant:Warm.][user:Rome]"
    )


def test_a_dialect_says_what_was_found() -> None:
    template = chat_template(loop(NINE + "{{ m.content if not m.tool_calls }}", JSON_CALL))
    form = dialect_of(template).calls
    assert form is not None
    assert (form.ids, form.beside, form.one_each, form.raw_text) == ("short", "never", False, False)


def test_tags_within_tags_are_taken_out_in_linear_time() -> None:
    """What is left around a tag may be one again."""
    template = chat_template(SPLITS)
    nested = "a" + "</th" * 50_000 + "</think>" + "ink>" * 50_000 + "b"
    began = time.process_time()
    assert without_tags(Message(role="assistant", content=nested), dialect_of(template)).content == "ab"
    assert time.process_time() - began < 5
