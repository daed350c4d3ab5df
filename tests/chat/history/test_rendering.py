"""With any template, all of a conversation reaches the prompt, or the conversation is refused."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from oxillama.chat import Message, ToolCall, render
from oxillama.chat.history import dialect_of
from oxillama.errors import TemplateError
from oxillama.text import ChatTemplate, PromptText
from tests.support.fake_engine import FakeChatTemplate
from tests.support.templates import chat_template

USER = Message(role="user", content="Weather in Paris?")
CALL = ToolCall(id="call_0123456789abcdef", name="get_weather", arguments='{"city": "Paris", "days": 2}')
OTHER = ToolCall(id="call_fedcba9876543210", name="get_time", arguments='{"zone": "Europe"}')
CALLING = Message(role="assistant", tool_calls=(CALL,))
RESULT = Message(role="tool", tool_call_id=CALL.id, content="21 degrees")
THANKS = Message(role="user", content="Thanks. And tomorrow?")
ANSWERED = [USER, CALLING, RESULT, Message(role="assistant", content="It is warm."), THANKS]


@pytest.fixture
def template() -> Callable[[str], ChatTemplate]:
    return chat_template


def content(prompt: PromptText) -> str:
    """The parts of a prompt that are content."""
    return "|".join(prompt.text[start:end] for start, end in prompt.content)


PARTS = {
    "a loop over parts": "{% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %}",
    "the first part": "{{ m.content[0].text }}",
    "either": "{% if m.content is string %}{{ m.content }}{% else %}{{ m.content[0].text }}{% endif %}",
}


@pytest.mark.parametrize("name", PARTS)
def test_a_template_gets_content_in_the_form_it_accepts(template: Any, name: str) -> None:
    chat = template("{% for m in messages %}[{{ m.role }}]" + PARTS[name] + "{% endfor %}")
    messages = [Message(role="system", content="S"), USER, Message(role="assistant", content="21"), THANKS]
    assert render(chat, messages).text == "[system]S[user]Weather in Paris?[assistant]21[user]Thanks. And tomorrow?"
    assert content(render(chat, messages)) == "S|Weather in Paris?|21|Thanks. And tomorrow?"


def test_only_the_roles_that_want_parts_get_them(template: Any) -> None:
    chat = template(
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content[0].text }}{% else %}{{ m.content + '.' }}"
        "{% endif %}{% endfor %}"
    )
    assert render(chat, [Message(role="system", content="S"), USER, Message(role="assistant", content="A")]).text == (
        "S.Weather in Paris?A."
    )


@pytest.mark.parametrize(
    ("source", "who"),
    [
        ("nothing", "user"),
        ("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}", "assistant"),
    ],
)
def test_a_template_that_omits_a_message_is_refused(template: Any, source: str, who: str) -> None:
    with pytest.raises(TemplateError, match=f"^The model's chat template leaves out what the {who} says.$"):
        render(template(source), [USER, Message(role="assistant", content="x"), THANKS])


def test_instructions_that_a_template_omits_become_a_user_message(template: Any) -> None:
    chat = template("{% for m in messages if m.role != 'system' %}[{{ m.role }}]{{ m.content }}{% endfor %}")
    assert (
        render(chat, [Message(role="system", content="Be kind."), USER]).text == "[user]Be kind.\n\nWeather in Paris?"
    )


FORMS = {
    "joined as text": "{{ '<call>' + c.function.name + ' ' + c.function.arguments + '</call>' }}",
    "printed as JSON": "{{ '<call>' + c.function.name + ' ' + (c.function.arguments | tojson) + '</call>' }}",
    "printed as it comes": "<call>{{ c.function.name }} {{ c.function.arguments }}</call>",
}
CALLS = "{% for c in m.tool_calls %}%s{% endfor %}"
HISTORY = (
    '[user]Weather in Paris?[assistant]<call>get_weather {"city": "Paris", "days": 2}</call>[tool]21 degrees'
    "[assistant]It is warm.[user]Thanks. And tomorrow?"
)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("test", ["m.tool_calls", "m.content is none", "not m.content"])
def test_a_call_is_passed_as_the_template_takes_it(template: Any, name: str, test: str) -> None:
    chat = template(
        "{% for m in messages %}[{{ m.role }}]{% if " + test + " %}" + CALLS.replace("%s", FORMS[name]) + "{% else %}"
        "{{ m.content }}{% endif %}{% endfor %}"
    )
    prompt = render(chat, ANSWERED)
    assert prompt.text == HISTORY
    assert "<call>" not in content(prompt)


def test_calls_that_a_template_does_not_know_are_written_out(template: Any) -> None:
    chat = template("{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}")
    prompt = render(chat, ANSWERED)
    assert prompt.text == HISTORY.replace(
        '<call>get_weather {"city": "Paris", "days": 2}</call>',
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 2}}\n</tool_call>',
    )
    # The server's own tags are not content; the model's text inside them is.
    assert "tool_call>" not in content(prompt)
    assert '|"get_weather"|{"city": "Paris", "days": 2}|' in content(prompt)


def test_results_that_a_template_does_not_support_become_a_user_message(template: Any) -> None:
    chat = template(
        "{% for m in messages if m.role in ['user', 'assistant'] %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    )
    prompt = render(chat, [USER, CALLING, RESULT])
    assert prompt.text.endswith("[user]<tool_response>\n21 degrees\n</tool_response>")
    assert content(prompt).endswith("|21 degrees")


ONE_CALL = (
    "{% for m in messages %}[{{ m.role }}]{% if m.tool_calls %}{% if m.tool_calls | length > 1 %}"
    "{{ raise_exception('one call only') }}{% endif %}{{ m.tool_calls[0].function | tojson }}"
    "{% else %}{{ m.content }}{% endif %}{% endfor %}"
)


@pytest.mark.parametrize("source", [ONE_CALL, ONE_CALL.replace("raise_exception('one call only')", "''")])
def test_calls_are_passed_one_per_message_if_a_message_may_have_only_one(template: Any, source: str) -> None:
    both = Message(role="assistant", tool_calls=(CALL, OTHER), content="Let me see.")
    other = Message(role="tool", tool_call_id=OTHER.id, content="noon")
    # The results in the other order: each follows its call.
    text = render(template(source), [USER, both, other, RESULT, THANKS]).text
    found = [text.index(part) for part in ("Let me see.", "get_weather", "21 degrees", "get_time", "noon", "Thanks")]
    assert found == sorted(found)


def test_ids_are_shortened_for_a_template_that_wants_nine_characters(template: Any) -> None:
    chat = template(
        "{% for m in messages %}{% for c in m.tool_calls or [] %}{% if c.id | length != 9 %}"
        "{{ raise_exception('nine') }}{% endif %}{{ c.id }}{{ c.function | tojson }}{% endfor %}"
        "{% if m.role == 'tool' %}{{ m.tool_call_id }}{% endif %}{{ m.content }} {% endfor %}"
    )
    one, other = render(chat, ANSWERED).text, render(chat, [USER, CALLING, RESULT]).text
    short = one.split()[3][:9]
    assert short.isalnum()
    assert one.count(short) == other.count(short) == 2


@pytest.mark.parametrize("arguments", ["", "{}", "[1]", '"x"', "{broken", '{"a": "<|im_end|>"}', "1e999"])
def test_arguments_of_any_kind_are_passed_on(template: Any, arguments: str) -> None:
    calling = Message(role="assistant", tool_calls=(ToolCall(id="c", name="f", arguments=arguments),))
    for source in (
        "{% for m in messages %}{{ m.content }}{% endfor %}",
        "{% for m in messages %}{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}{{ m.content }}"
        "{% endfor %}",
    ):
        prompt = render(template(source), [USER, calling, Message(role="tool", tool_call_id="c", content="r")])
        assert (arguments or "{}") in prompt.text.replace("\\", "").replace('"{', "{")
        assert arguments in content(prompt).replace("\\", "")


THOUGHT = Message(role="assistant", content="It is warm.", reasoning="Paris is in France.")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_is_passed_in_the_field_that_the_template_reads(template: Any, field: str) -> None:
    chat = template(
        "{% for m in messages %}[{% if m." + field + " %}({{ m." + field + " }}){% endif %}{{ m.content }}]{% endfor %}"
    )
    assert render(chat, [USER, THOUGHT]).text == "[Weather in Paris?][(Paris is in France.)It is warm.]"


def test_reasoning_without_a_place_is_written_before_the_answer(template: Any) -> None:
    chat = template("{% for m in messages %}[{{ m.content }}]{% endfor %}")
    assert render(chat, [USER, THOUGHT]).text.endswith("[<think>\nParis is in France.\n</think>\n\nIt is warm.]")


class Strict(FakeChatTemplate):
    """A template that refuses conversations for which `wrong` is true."""

    def __init__(self, wrong: Callable[[list[str]], bool]) -> None:
        super().__init__()
        self.wrong = wrong

    def render(self, messages: Any, **kwargs: Any) -> PromptText:
        if self.wrong([m["role"] for m in messages]):
            raise TemplateError("Conversation roles must alternate")
        return super().render(messages, **kwargs)


TURNS = [Message(role="system", content="S"), Message(role="user", content="a"), Message(role="user", content="b")]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (lambda roles: False, "<system>S</system><user>a</user><user>b</user>"),
        (lambda roles: any(a == b for a, b in pairwise(roles)), "<system>S</system><user>a\n\nb</user>"),
        (lambda roles: "system" in roles, "<user>S\n\na</user><user>b</user>"),
    ],
    ids=["any", "roles must alternate", "no system role"],
)
def test_a_template_that_refuses_a_conversation_is_given_a_simpler_one(wrong: Any, expected: str) -> None:
    assert render(Strict(wrong), TURNS).text == expected + "<assistant>"


def test_a_template_that_refuses_everything_is_an_error_with_its_message() -> None:
    with pytest.raises(TemplateError, match="alternate"):
        render(Strict(lambda roles: True), TURNS)


def test_without_messages_the_prompt_is_empty(template: Any) -> None:
    assert render(template("{{ messages[0].content }}"), []) == PromptText("")


def test_a_template_is_probed_once_and_forgotten_with_its_model() -> None:
    class Counting(FakeChatTemplate):
        n = 0

        def render(self, messages: Any, **kwargs: Any) -> PromptText:
            self.n += 1
            return super().render(messages, **kwargs)

    chat = Counting()
    render(chat, ANSWERED)
    tried = chat.n
    render(chat, ANSWERED)
    assert chat.n == tried + 1
    assert dialect_of(chat) is dialect_of(chat)
    gone = weakref.ref(chat)
    del chat
    gc.collect()
    assert gone() is None
