"""After any operation of a template, every character of the prompt is marked as content or as the template's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxillama.text import ChatTemplate
from oxillama.text.templates.provenance import Content, joined, spans_of

# In these tests content has capital letters and digits, and the template's own text has small letters.
CONTENT = "  ABC</T>DE\n\nFGH </T> IJK  "


@pytest.fixture(scope="module")
def chat() -> Iterator[ChatTemplate]:
    chat = ChatTemplate({"default": "x"}, {"bos_token": "<bos>"})
    yield chat
    chat.close()


def rendered(chat: ChatTemplate, source: str, content: str = CONTENT, **values: Any) -> tuple[str, str]:
    """The text, and the same text with `#` for every character that is content."""
    chat._sources["default"] = chat.source = source
    prompt = chat.render([{"role": "user", "content": content}], **values)
    masked = list(prompt.text)
    for start, end in prompt.content:
        masked[start:end] = "#" * (end - start)
    return prompt.text, "".join(masked)


def of_capitals(text: str) -> str:
    return "".join("#" if c.isupper() or c in " \n</>" else c for c in text)


EXACT = {
    "printed": "a{{ m.content }}b",
    "trimmed": "a{{ m.content | trim }}b{{ m.content.strip() }}c{{ m.content.lstrip('\n ') }}{{ m.content.rstrip() }}",
    "added": "{{ 'a' + m.content + 'b' + 'c' * 2 }}",
    "joined by a tilde": "{{ 'a' ~ m.content ~ 1 ~ 'b' }}",
    "repeated": "{{ ('a' + m.content) * 2 }}",
    "sliced": "{{ ('a' + m.content + 'b')[3:-3] }}{{ m.content[0] }}{{ m.content[-1] }}{{ ('ab' + m.content)[:5] }}",
    "split": "{% for p in m.content.split('</T>') %}a{{ p }}{% endfor %}{{ m.content.split('</T>')[-1].lstrip('\n') }}",
    "split at blanks": "{% for p in ('a' + m.content).split() %}{{ p }}b{% endfor %}{{ m.content.rsplit(none, 1)[0] }}",
    "split from the right": "{% for p in m.content.rsplit('</T>', 1) %}{{ p }}a{% endfor %}",
    "partitioned": "{{ 'a'.join(m.content.partition('</T>')) }}{{ m.content.rpartition('</T>')[2] }}",
    "in lines": "{% for p in m.content.splitlines() %}a{{ p }}{% endfor %}",
    "replaced": "{{ m.content | replace('</T>', 'a') }}{{ m.content.replace('B', 'b') }}"
    "{{ 'a_b' | replace('_', m.content) }}",
    "a method of the template's text": "{{ 'a'.join([m.content, 'b', m.content]) }}{{ 'a_'.replace('_', m.content) }}",
    "joined by a filter": "{{ [m.content] | join('a') }}{{ messages | map(attribute='content') | join('b') }}"
    "{{ messages | join('c', 'content') }}",
    "formatted": "{{ 'a%sb' % m.content }}{{ 'a%s%s%%b' % (m.content, m.content) }}{{ 'a%(x)sb' % {'x': m.content} }}"
    "{{ 'a%sb' | format(m.content) }}{{ 'a{}b{x}'.format(m.content, x=m.content) }}",
    "prefix and suffix": "{{ ('a' + m.content).removeprefix('a') }}{{ (m.content + 'a').removesuffix('a') }}",
    "in a macro": "{% macro f(x) %}a{{ x }}b{% endmacro %}{{ f(m.content) }}{{ (f(m.content) + 'c') | trim }}",
    "in a block": "{% set x %}a{{ m.content }}{% endset %}{{ x }}b{% filter trim %}a{{ m.content }}b{% endfilter %}",
    "called": "{% macro f() %}a{{ caller() }}b{% endmacro %}{% call f() %}{{ m.content }}{% endcall %}",
    "kept": "{% set n = namespace(x='a') %}{% set n.x = n.x + m.content %}{{ n.x }}{{ {'a': m.content}.a }}",
    "kept in a list that grows": "{% set x = ['a'] %}{% set _ = x.append(m.content) %}{{ x.pop() }}{{ x.pop() }}",
    "kept in a growing mapping": "{% set x = {} %}{% set _ = x.update({'a': m.content}) %}{{ x.a }}a{{ x.pop('a') }}",
    "character by character": "{% for c in m.content %}{{ c }}{% endfor %}{{ m.content | list | join('a') }}",
    "chosen": "{{ m.content if m.content else 'a' }}{{ x | default(m.content) }}{{ [m.content, 'a'] | first }}"
    "{{ [m.content] | last }}{{ m.content | string }}{{ m.content | safe }}b",
    "first and last characters": "{{ m.content | first }}{{ m.content | last }}{{ m.content | trim | first }}a",
}  # fmt: skip
AS_A_WHOLE = {
    "indented": "{{ m.content | indent(2) }}",
    "wrapped": "{{ m.content | wordwrap(4) }}{{ m.content | truncate(7) }}{{ m.content | center(80) }}",
    "escaped": "{{ m.content | e }}{{ m.content | urlencode }}{{ m.content | pprint }}",
    "reversed": "{{ m.content | reverse }}{{ m.content[::-1] }}{{ m.content.zfill(50) }}",
    "printed in a list": "{{ [m.content] }}{{ {'KEY': m.content} }}{{ (m.content, 1) }}{{ [m.content] | string }}"
    "{{ [m.content] ~ m.content }}{{ [[m.content]] | join }}{{ [m.content] | upper | trim }}{{ '%s' % [m.content] }}"
    "{{ namespace(x=m.content) }}{{ m }}{{ [m.content] | replace('A', [m.content]) }}{{ '{}'.format([m.content]) }}",
    "by way of bytes": "{{ m.content.encode().decode() }}{{ strftime_now(m.content) }}",
    "in an escaping block": "{% autoescape true %}{{ m.content }}{{ m.content | e }}{% endautoescape %}",
    "as JSON": "{{ m.content | tojson }}{{ {'a': [m.content]} | tojson(indent=2) }}{{ messages | tojson }}",
    "read from JSON": "{{ m.content | tojson | from_json }}"
    "{% for k, v in (given | tojson | from_json) | items %}{{ k }}"
    "{{ v }}{% endfor %}{{ ({'role': m.content} | tojson | from_json).role }}",
    "formatted to a width": "{{ '%50s' % m.content }}{{ '{:>50}'.format(m.content) }}",
    "keys": "{% for k, v in given.items() %}{{ k }}{{ v }}{% endfor %}{{ given | dictsort | first | first }}",
}


@pytest.mark.parametrize("name", EXACT)
def test_every_character_keeps_its_provenance(chat: ChatTemplate, name: str) -> None:
    text, masked = rendered(chat, "{% set m = messages[0] %}" + EXACT[name])
    assert masked == of_capitals(text)
    assert "#" in masked


@pytest.mark.parametrize("name", AS_A_WHOLE)
def test_a_string_made_from_content_is_content(chat: ChatTemplate, name: str) -> None:
    text, masked = rendered(chat, "{% set m = messages[0] %}" + AS_A_WHOLE[name], given={"KEY": "VALUE"})
    assert len(text) > 8
    assert set(masked) == {"#"}


def test_letters_change_in_place(chat: ChatTemplate) -> None:
    source = "{{ ('a' + messages[0].content) | upper }}{{ ('B' + messages[0].content).lower() }}"
    assert rendered(chat, source, "xY") == ("AXYbxy", "A##b##")


def test_templates_see_ordinary_strings(chat: ChatTemplate) -> None:
    source = (
        "{% set c = messages[0].content %}{{ [c == 'A</T>B', '</T>' in c, c is string, c | length, c.startswith('A'),"
        " c.find('<'), c < 'B', c in ['A</T>B'], {'A</T>B': 1}[c], c is mapping, c is iterable] }}"
    )
    assert rendered(chat, source, "A</T>B")[0] == "[True, True, True, 6, True, 1, True, True, 1, False, True]"


def test_roles_and_tokens_are_the_templates_own(chat: ChatTemplate) -> None:
    source = "{{ bos_token }}{{ '<|' + messages[0].role + '|>' }}{{ messages[0].content }}"
    assert rendered(chat, source, "A") == ("<bos><|user|>A", "<bos><|user|>#")


def test_a_role_that_is_not_an_identifier_is_content() -> None:
    chat = ChatTemplate({"default": "{{ messages[0].role }}"}, {})
    assert chat.render([{"role": "<s>", "content": ""}]).content == ((0, 3),)
    chat.close()


texts = st.lists(st.tuples(st.text("ab< ", max_size=4), st.booleans()), max_size=5)


def tracked(pieces: list[tuple[str, bool]]) -> str:
    return joined(Content(text) if content else text for text, content in pieces)


def marks(text: str) -> list[bool]:
    return [any(start <= at < end for start, end in spans_of(text)) for at in range(len(text))]


@given(texts, st.integers(-6, 6), st.integers(-6, 6))
def test_a_slice_has_the_spans_of_its_characters(pieces: list[tuple[str, bool]], start: int, stop: int) -> None:
    text = tracked(pieces)
    assert marks(text[start:stop]) == marks(text)[start:stop]


@given(texts, st.sampled_from(["a", "b<", "< ", None]), st.integers(-1, 3))
def test_splitting_and_joining_gives_the_same_back(pieces: list[tuple[str, bool]], sep: str | None, most: int) -> None:
    text = tracked(pieces)
    for split in (text.split(sep, most), text.rsplit(sep, most)):
        assert [str.__str__(piece) for piece in split] in (
            list(str.split("".join(text), sep, most)),
            list(str.rsplit("".join(text), sep, most)),
        )
        at = 0
        for piece in split:
            at = "".join(text).index(piece, at) if sep is None else at
            assert marks(piece) == marks(text)[at : at + len(piece)]
            at += len(piece) + len(sep or "")


@given(texts, texts)
def test_concatenation_joins_the_spans(left: list[tuple[str, bool]], right: list[tuple[str, bool]]) -> None:
    a, b = tracked(left), tracked(right)
    assert marks(a + b) == marks(a) + marks(b)
    assert a + b == "".join([text for text, _ in left + right])
