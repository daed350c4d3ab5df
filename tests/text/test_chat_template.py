"""Chat templates render as with a Jinja environment that published templates expect."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jinja2
import pytest
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import SandboxedEnvironment

from oxillama.errors import TemplateError
from oxillama.text import ChatTemplate
from oxillama.text.templates import process as template_process
from tests.support.shared import ROOT
from tests.text.conversations import CONVERSATIONS, SYSTEM, USER, WEATHER

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
PUBLISHED = sorted(ROOT.glob("templates/*.jinja"))


class _Marker(Extension):
    tags = {"generation"}  # noqa: RUF012  (as jinja2 declares it)

    def parse(self, parser: Any) -> Any:
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("run"), [], [], body).set_lineno(line)

    def run(self, caller: Any) -> Any:
        return caller()


def reference(source: str, **context: Any) -> str:
    """The same rendering in this process, with an environment made here."""

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    def tojson(
        value: Any, ensure_ascii: Any = False, indent: Any = None, separators: Any = None, sort_keys: Any = False
    ) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    environment = SandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Marker, loopcontrols])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda wanted: __import__("datetime").datetime.now().strftime(wanted)
    defaults = {"tools": None, "documents": None, "add_generation_prompt": True}
    return environment.from_string(source).render({**TOKENS, **defaults, **context})


@pytest.fixture(scope="module")
def render() -> Iterator[Any]:
    """One child process for all tests that change only the template."""
    chat = ChatTemplate({"default": "x"}, TOKENS)

    def one(source: str, **context: Any) -> str:
        chat._sources["default"] = chat.source = source
        return chat.render(context.pop("messages", []), **context).text

    yield one
    chat.close()


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_a_published_template_renders_as_jinja_renders_it(path: Any, render: Any) -> None:
    source = path.read_text(encoding="utf-8")
    rendered = 0
    for name, context in CONVERSATIONS.items():
        try:
            wanted = reference(source, **context)
        except Exception:
            with pytest.raises(TemplateError, match=r"^The chat template failed: [^\n]+$"):
                render(source, **context)
        else:
            rendered += 1
            assert render(source, **context) == wanted, name
    assert rendered >= 3


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("{{ messages[0].content | tojson }}", '"What is 2 + 2? <b>&amp; \\"quotes\\"</b> naïve 😀\\nSecond line"'),
        ("{{ {'b': 1, 'a': [1, 2]} | tojson(indent=2) }}", '{\n  "b": 1,\n  "a": [\n    1,\n    2\n  ]\n}'),
        ("{{ {'b': 1, 'a': 2} | tojson(separators=(',', ':'), sort_keys=true) }}", '{"a":2,"b":1}'),
        ("{{ 'é' | tojson(ensure_ascii=True) }}", '"\\u00e9"'),
        ("{% for i in [0, 1, 2, 3] %}{% if i == 3 %}{% break %}{% endif %}{% if i == 1 %}{% continue %}{% endif %}"
         "{{ i }}{% endfor %}", "02"),
        ("{% set x = [1] %}{% set _ = x.append(2) %}{{ x }}{{ x.pop(0) }}{{ x }}", "[1, 2]1[2]"),
        ("{% set x = {'a': 1} %}{% set _ = x.update({'b': 2}) %}{{ x | dictsort }}", "[('a', 1), ('b', 2)]"),
        ("{% set _ = messages.append({'role': 'x'}) %}{{ messages | map(attribute='role') | join(' ') }}", "user x"),
        ("{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "1"),
        ("{{ ('{\"a\": [1, \"b\"]}' | from_json).a }}", "[1, 'b']"),
        ("{% generation %}said{% endgeneration %}", "said"),
        ("{{ bos_token }}{{ eos_token }}{{ nowhere }}", "<s></s>"),
        ("  {% if true %}\n  x\n  {% endif %}\ny", "  x\ny"),
        ("{{ documents is none }}{{ tools is none }}{{ add_generation_prompt }}", "TrueTrueTrue"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "1"),
    ],
)  # fmt: skip
def test_operations_that_templates_rely_on(render: Any, source: str, wanted: str) -> None:
    assert render(source, messages=[USER]) == wanted


def test_what_a_template_changes_is_not_changed_in_the_next_rendering(render: Any) -> None:
    source = (
        "{% macro f(x=[]) %}{{ x.append(1) }}{{ x }}{% endmacro %}{% set y = [[]] %}{{ y[0].append(2) }}"
        "{{ f() }}{{ y }}{{ messages.append(3) }}{{ messages | length }}"
    )
    first = render(source, messages=[USER])
    assert first == "NoneNone[1][[2]]None2"
    assert render(source, messages=[USER]) == first


def test_the_date_is_there_for_templates_that_ask(render: Any) -> None:
    assert len(render("{{ strftime_now('%Y-%m-%d') }}")) == 10


def test_extra_arguments_reach_the_template(render: Any) -> None:
    assert (
        render("{{ enable_thinking }} {{ documents[0].title }}", enable_thinking=False, documents=[{"title": "t"}])
        == "False t"
    )


def test_a_refusal_of_the_template_keeps_its_message(render: Any) -> None:
    with pytest.raises(TemplateError, match=r"^The chat template failed: Only user and\s?assistant\.$"):
        render("{{ raise_exception('Only user and\nassistant.') }}")


def test_a_wrong_template_names_the_line(render: Any) -> None:
    with pytest.raises(TemplateError, match=r"^The chat template failed: line 2: "):
        render("one\n{% if %}")


def test_values_that_are_not_json_are_refused(render: Any) -> None:
    with pytest.raises(TemplateError, match="cannot be given these values"):
        render("x", thing=object())


def test_tools_take_the_template_made_for_them() -> None:
    chat = ChatTemplate({"default": "plain", "tool_use": "tools"}, TOKENS)
    assert chat.render([USER]).text == "plain"
    assert chat.render([USER], tools=[WEATHER]).text == "tools"
    assert chat.render([USER], template="tool_use").text == "tools"
    with pytest.raises(TemplateError, match="'rag'; it has: default, tool_use"):
        chat.render([USER], template="rag")
    chat.close()


def test_a_model_without_a_template_gets_the_built_in_one() -> None:
    chat = ChatTemplate({}, TOKENS)
    assert chat.source is None
    assert chat.render([SYSTEM, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}]).text == (
        "<|system|>\nYou are terse.\n<|end|>\n<|user|>\nHi\n<|end|>\n<|assistant|>\n"
    )
    assert chat.render([{"role": "assistant", "content": None}], add_generation_prompt=False).text == (
        "<|assistant|>\n\n<|end|>\n"
    )
    with pytest.raises(TemplateError, match="cannot be given tools"):
        chat.render([USER], tools=[WEATHER])
    with pytest.raises(TemplateError, match="'robot'"):
        chat.render([{"role": "robot", "content": "x"}])


def test_threads_render_at_the_same_time() -> None:
    chat = ChatTemplate({"default": "{% for m in messages %}{{ m.content }}{% endfor %}"}, TOKENS)
    with ThreadPoolExecutor(8) as threads:
        texts = [str(i) * 50 for i in range(200)]
        got = list(threads.map(lambda text: chat.render([{"role": "user", "content": text}]).text, texts))
    assert got == texts
    chat.close()


def test_waiting_for_a_process_does_not_count_as_rendering_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    class Busy:
        """A process that becomes free only after the time limit of a template."""

        def acquire(self, **_: object) -> bool:
            nonlocal now
            now += 10 * template_process.WALL_SECONDS
            return True

        def release(self) -> None:
            pass

        def __enter__(self) -> None:
            self.acquire()

        def __exit__(self, *_: object) -> None:
            pass

    chat = ChatTemplate({"default": "x"}, TOKENS)
    monkeypatch.setattr(chat._processes, "_slots", Busy())
    monkeypatch.setattr(template_process, "time", SimpleNamespace(monotonic=lambda: now))
    assert chat.render([USER]).text == "x"
    chat.close()
