"""Writing the object of the arguments piece by piece."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from oxillama.chat.values.writer import ArgumentsWriter

STRINGS = st.tuples(st.text(), st.lists(st.text()))
VALUES = st.tuples(st.text(), st.integers())


@settings(max_examples=40)
@given(st.lists(STRINGS | VALUES, unique_by=lambda member: member[0]))
def test_the_pieces_joined_are_the_object(members: list[tuple[str, list[str] | int]]) -> None:
    writer = ArgumentsWriter()
    written = []
    for key, value in members:
        if isinstance(value, int):
            written.append(writer.value(key, str(value)))
        else:
            written += [writer.string(key), *map(writer.text, value), writer.done()]
    written.append(writer.end())
    wanted = {key: "".join(value) if isinstance(value, list) else value for key, value in members}
    assert json.loads("".join(written)) == wanted


def test_spaces_are_those_of_most_models() -> None:
    writer = ArgumentsWriter()
    assert writer.value("a", "1") + writer.string("b") + writer.text("x") + writer.end() == '{"a": 1, "b": "x"}'


def test_a_string_that_is_open_is_closed_with_the_object() -> None:
    writer = ArgumentsWriter()
    assert writer.string("a") + writer.end() == '{"a": ""}'


def test_no_arguments_are_an_empty_object() -> None:
    assert ArgumentsWriter().end() == "{}"
