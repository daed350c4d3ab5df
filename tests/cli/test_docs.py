"""docs/cli.md lists exactly the options that exist."""

from __future__ import annotations

import re

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from oxillama.cli.app import app
from oxillama.server.config import ServerConfig
from tests.support.cli import ROOT

PAGE = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
GROUP = get_command(app)
assert isinstance(GROUP, TyperGroup)
COMMANDS = GROUP.commands
EVERYWHERE = {"--help", "--model", "--json"}


def section(command: str) -> str:
    found = re.search(rf"^## {command}:.*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/cli.md has no section on {command}"
    return found[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_names_the_options_that_the_command_has(command: str) -> None:
    params = [p for p in COMMANDS[command].params if not getattr(p, "hidden", False)]
    names = {name for p in params for name in (*p.opts, *p.secondary_opts) if name.startswith("--")}
    text = section(command)
    if "serving.md" in text:
        text += (ROOT / "docs/serving.md").read_text(encoding="utf-8")

    written = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))

    assert written <= names | EVERYWHERE, "documented, but not there"
    assert names - EVERYWHERE - {"--bos"} <= written, "there, but not documented"


def test_every_setting_of_the_server_has_its_row() -> None:
    page = (ROOT / "docs/serving.md").read_text(encoding="utf-8")
    settings = page.partition("\n## Settings\n")[2].partition("\n## ")[0]
    rows = set(re.findall(r"^\| `(\w+)` \|", settings, re.MULTILINE))

    assert rows == set(ServerConfig.__struct_fields__)
