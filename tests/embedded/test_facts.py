"""What the demonstration model is taught names things that exist. How often it says them is for its card."""

from __future__ import annotations

import re

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from oxillama.cli.app import app
from oxillama.cli.chat.commands import COMMANDS as SLASH
from oxillama.embedded.data.facts import FACTS, Fact
from oxillama.server.config import FIELDS
from tests.support.cli import ROOT

GROUP = get_command(app)
assert isinstance(GROUP, TyperGroup)
COMMANDS = GROUP.commands
OPTIONS = {
    option
    for command in COMMANDS.values()
    for parameter in command.params
    if not getattr(parameter, "hidden", False)
    for option in (*parameter.opts, *parameter.secondary_opts)
}
BESIDE_SETTINGS = {"OXILLAMA_CONFIG", "OXILLAMA_ISA", "OXILLAMA_"}


def taught(key: str) -> str:
    (answer,) = [fact.answer for fact in FACTS if fact.key == key]
    return answer


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.key)
def test_a_taught_answer_names_what_exists(fact: Fact) -> None:
    answer = fact.answer

    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", answer)) <= OPTIONS | {"--help", "-m", "-k", "-d"}
    assert set(re.findall(r"\boxillama ([a-z]+) -", answer)) <= set(COMMANDS)
    variables = set(re.findall(r"OXILLAMA_[A-Z_]*", answer)) - BESIDE_SETTINGS
    assert {variable.removeprefix("OXILLAMA_").lower() for variable in variables} <= set(FIELDS)
    for page in re.findall(r"docs/[\w/]+\.md", answer):
        assert (ROOT / page).is_file()


def test_the_commands_that_are_said_to_print_json_are_those_that_do() -> None:
    with_json = {name for name, command in COMMANDS.items() if any("--json" in p.opts for p in command.params)}

    assert set(re.findall(r"[a-z-]+", taught("json_output").partition("then")[0])) & set(COMMANDS) == with_json


def test_all_commands_of_the_terminal_chat_are_taught() -> None:
    assert set(re.findall(r"/[a-z]+", taught("chat_slash"))) == set(SLASH)


def test_all_pages_of_the_documentation_are_taught() -> None:
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} | {"internals"}

    assert set(re.findall(r"\w+\.md|internals", taught("documentation"))) == pages
