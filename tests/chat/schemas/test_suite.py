"""The official JSON-Schema-Test-Suite (draft 2020-12, its required part without remote references; suite/LICENSE)."""

from __future__ import annotations

import json
import random
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from oxillama.chat.schemas import SchemaError
from oxillama.chat.schemas.branches import Expander
from oxillama.chat.schemas.document import Document
from oxillama.engine.constraints.grammars import Grammar
from tests.chat.schemas.judge import is_valid
from tests.chat.schemas.walks import admits_value, compiled, walk

QUICK = ("allOf", "if-then-else", "contains", "dependentRequired", "prefixItems", "propertyNames", "required", "type")
"""A part that takes a second."""


@cache
def suite() -> dict[str, list[dict[str, Any]]]:
    text = (Path(__file__).parent / "suite" / "draft2020-12.json").read_text(encoding="utf-8")
    found: dict[str, list[dict[str, Any]]] = json.loads(text)
    return found


def is_remote(error: Exception) -> bool:
    return "which is not in the schema" in str(error)


def checked(name: str, group: dict[str, Any], grammar: Grammar, n_walks: int) -> list[str]:
    """What is wrong with a grammar: valid instances it does not admit, others it does, and what it produces."""
    schema, where = group["schema"], f"{name}: {group['description']}"
    wrong = []
    for test in group["tests"]:
        if name == "format" and "invalid" in test["description"]:
            continue  # formats are held to, which the standard leaves to us
        if admits_value(grammar, test["data"]) is not test["valid"]:
            wrong.append(f"{where}: {test['description']}: {json.dumps(test['data'])[:80]}")
    rng = random.Random(where)
    for _ in range(n_walks):
        text = walk(grammar, rng)
        if text is not None and not is_valid(schema, json.loads(text)):
            wrong.append(f"{where}: produced {text}")
    return wrong


@pytest.mark.parametrize("name", QUICK)
def test_a_grammar_admits_what_is_valid_and_nothing_else(name: str) -> None:
    for group in suite()[name]:
        try:
            grammar = compiled(group["schema"])
        except SchemaError as error:
            refused = str(error)
        else:
            assert checked(name, group, grammar, 3) == []
            continue
        assert "admits no value" in refused
        assert not any(test["valid"] for test in group["tests"])


@pytest.mark.slow
def test_the_whole_suite() -> None:
    """At least 95 % are accepted, and those hold without exception. Schemas that admit nothing count as refused."""
    refused: Counter[str] = Counter()
    n = 0
    wrong: list[str] = []
    for name, groups in suite().items():
        for group in groups:
            try:
                grammar = compiled(group["schema"])
            except SchemaError as error:
                if not is_remote(error):
                    n += 1
                    refused[error.keyword or str(error)] += 1
                continue
            n += 1
            wrong += checked(name, group, grammar, 40)
    assert wrong == []
    print(f"{n} schemas, {sum(refused.values())} refused: {dict(refused)}")
    assert sum(refused.values()) <= 0.05 * n


@pytest.mark.slow
def test_values_are_checked_as_the_suite_says() -> None:
    wrong = []
    for name, groups in suite().items():
        for group in groups:
            for test in group["tests"]:
                if name == "format" and "invalid" in test["description"]:
                    continue
                try:
                    document = Document(group["schema"])
                    found = Expander(document).checker.accepts(document.root, test["data"])
                except SchemaError as error:
                    wrong += [] if is_remote(error) else [str(error)]
                    continue
                if found is not test["valid"]:
                    wrong.append(f"{name}: {group['description']}: {test['description']}")
    assert wrong == []
