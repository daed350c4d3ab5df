"""Made-up functions, JSON answers, and the held-out calls: consistent, and separate from each other."""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema
import pytest

from oxillama.embedded.chat import CALL, pieces
from oxillama.embedded.data.calls import documents, echoes, fields, tasks, values
from oxillama.embedded.data.conversations import Conversation, normal
from oxillama.embedded.data.held_out import calls as held_out_calls
from oxillama.embedded.data.held_out import documents as held_out_documents
from oxillama.embedded.data.held_out import tasks as held_out_tasks
from oxillama.embedded.data.turns import tools
from oxillama.embedded.scoring import object_schema, parse_calls
from oxillama.embedded.scoring import tools as held_out_tools

TOOLS = {**held_out_calls.TOOLS, **held_out_tasks.TOOLS}


def drawn(n: int = 800) -> list[Conversation]:
    rng = random.Random("calls")
    return [kind.sample(rng) for _ in range(n // 4) for kind in (tasks, tasks, tools, documents)]


@pytest.fixture(scope="module")
def conversations() -> list[Conversation]:
    return drawn()


def property_names(schema: Any) -> set[str]:
    """All names of properties in a schema."""
    if isinstance(schema, list):
        return {name for part in schema for name in property_names(part)}
    if not isinstance(schema, dict):
        return set()
    own = set(schema["properties"]) if isinstance(schema.get("properties"), dict) else set()
    return own | {name for part in schema.values() for name in property_names(part)}


def test_no_held_out_function_parameter_or_request_is_in_a_generator(conversations: list[Conversation]) -> None:
    names, parameters, requests = set(), set(), set()
    for messages, offered in conversations:
        names |= {tool["function"]["name"] for tool in offered or []}
        parameters |= property_names(offered)
        parameters |= {key for m in messages if "parts" in m for key in json.loads(m["content"])}
        requests |= {normal(m["content"]) for m in messages if m["role"] == "user"}
    parameters |= {name for role, _ in fields.ROLES for name in role.names.split()}
    kinds = (documents.PERSON, documents.THING, documents.EVENT)
    parameters |= {key for traits in kinds for trait in traits for key in trait.keys}
    held_out = {name.rstrip("?") for _, fields_ in TOOLS.values() for name in fields_}
    held_out |= {name for _, fields_, _ in held_out_documents.DOCUMENTS for name in fields_}
    asked = {normal(case[1]) for case in (*held_out_calls.CASES, *held_out_tasks.TASKS)}
    asked |= {normal(text) for text, _, _ in held_out_documents.DOCUMENTS}

    assert sorted(names & set(TOOLS)) == []
    assert sorted(parameters & held_out) == []
    assert sorted(requests & asked) == []


def test_the_generators_words_for_choices_are_not_those_of_held_out_functions() -> None:
    held_out = [tuple(kind) for _, fields_ in TOOLS.values() for kind in fields_.values() if isinstance(kind, list)]

    assert not set(held_out) & set(values.ENUMS)


@pytest.mark.parametrize("case", held_out_calls.CASES, ids=lambda case: case[1])
def test_a_held_out_call_fits_an_offered_function(case: tuple[tuple[str, ...], str, str, dict[str, Any]]) -> None:
    offered, _, name, arguments = case

    schema = next(t["function"]["parameters"] for t in held_out_tools(offered) if t["function"]["name"] == name)
    jsonschema.validate(arguments, {**schema, "additionalProperties": False})


def test_held_out_calls_are_a_hundred_and_tasks_and_documents_fit_their_schemas() -> None:
    assert len({case[1] for case in held_out_calls.CASES}) == 100
    for names, _, wanted, _ in held_out_tasks.TASKS:
        assert {name for name, _, _ in wanted} <= set(names)
        for name, arguments, _ in wanted:
            jsonschema.validate(arguments, object_schema(TOOLS[name][1]))
    for _, fields_, content in held_out_documents.DOCUMENTS:
        jsonschema.validate(content, object_schema(fields_))


def test_a_call_that_is_taught_fits_its_function_and_parses_back(conversations: list[Conversation]) -> None:
    seen = 0
    for messages, offered in conversations:
        schemas = {tool["function"]["name"]: tool["function"].get("parameters", {}) for tool in offered or []}
        assert len(schemas) == len(offered or [])
        for message in messages:
            if message["role"] == "assistant" and CALL in message["content"]:
                for call in parse_calls(message["content"]) or [{}]:
                    jsonschema.validate(call["arguments"], schemas[call["name"]])
                    seen += 1
    assert seen > 500


def test_most_values_of_a_call_stand_in_the_conversation_before_it(conversations: list[Conversation]) -> None:
    copied = total = 0
    for messages, _ in conversations:
        before = ""
        for message in messages:
            for call in parse_calls(message["content"]) or [] if message["role"] == "assistant" else []:
                texts = [str(v) for v in call["arguments"].values() if not isinstance(v, bool | list)]
                total += len(texts)
                copied += sum(text in before or text.lower() in before.lower() for text in texts)
            before += message["content"] + "\n"
    assert copied > 0.9 * total


def test_json_answers_follow_their_schema_where_the_prompt_has_one() -> None:
    rng = random.Random(3)
    for _ in range(300):
        document = documents.portrait(rng) if rng.random() < 0.5 else documents.stated(rng)
        jsonschema.validate(document.content, document.schema)


def test_given_parts_of_a_json_answer_are_its_keys_and_make_up_the_answer() -> None:
    rng = random.Random(4)
    seen = 0
    for _ in range(400):
        messages, _ = documents.sample(rng)
        if "parts" in messages[-1]:
            parts = messages[-1]["parts"]
            assert "".join(text for text, _ in parts) == messages[-1]["content"]
            assert any(flag for _, flag in parts)
            seen += 1
    assert seen > 100


def test_a_message_that_is_not_learnt_is_given() -> None:
    messages: list[dict[str, Any]]
    messages = [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a", "learnt": False}]

    assert not any(learnt for _, learnt in pieces(messages))


def test_an_echo_is_in_the_prompt() -> None:
    rng = random.Random(5)
    for _ in range(200):
        messages, _ = echoes.looked_up(rng)
        assert all(m["content"] in messages[0]["content"] for m in messages if m["role"] == "assistant")


def test_calls_are_parsed_only_where_nothing_else_is_said() -> None:
    call = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'

    assert parse_calls(f"{call}\n{call}") == [{"name": "f", "arguments": {}}] * 2
    assert parse_calls(f"I call {call}") is None
    assert parse_calls("none") is None
    assert parse_calls(call[:-3]) is None
