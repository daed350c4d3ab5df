"""A template that comes with a model cannot run a command, hang the server or fill its memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from oxillama.errors import TemplateError
from oxillama.text import ChatTemplate
from oxillama.text.templates import process as template_process
from tests.text.conversations import USER
from tests.text.hostile_templates import BOMBS, COMMAND, ESCAPES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEBIBYTE = 1 << 20
HARMLESS = "{{ messages[0].role }}"


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real limits, but shorter."""
    monkeypatch.setattr(template_process, "CPU_SECONDS", 0.3)


@pytest.fixture(scope="module")
def chat() -> Iterator[ChatTemplate]:
    chat = ChatTemplate({"default": HARMLESS}, {})
    yield chat
    chat.close()


def outcome(chat: ChatTemplate, source: str) -> str:
    """The rendered text or the error line. Also checks that the next rendering works."""
    chat._sources["default"] = chat.source = source
    try:
        result = chat.render([USER]).text
        longest = 2 * MEBIBYTE
    except TemplateError as error:
        result = str(error)
        longest = 600 if "\n" not in result else 0
    finally:
        chat._sources["default"] = chat.source = HARMLESS
    assert len(result) <= longest
    assert chat.render([USER]).text == "user"
    return result


@pytest.mark.parametrize("name", ESCAPES)
def test_no_template_runs_a_command(chat: ChatTemplate, name: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    result = outcome(chat, ESCAPES[name].replace("CMD", COMMAND.format(marker=marker)))
    assert not marker.exists()
    assert "root:" not in result
    assert "<module 'os'" not in result


@pytest.mark.usefixtures("short_limits")
@pytest.mark.parametrize("name", BOMBS)
def test_no_template_hangs_or_fills_the_memory(chat: ChatTemplate, name: str) -> None:
    outcome(chat, BOMBS[name])


@pytest.mark.usefixtures("short_limits")
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("nested loops", "more than 0.3 s of processor time"),
        ("power", "more than 0.3 s of processor time"),
        ("repeated text, huge", "too"),
        ("endless output", "output is too long"),
        ("recursion", "nested too deeply"),
        ("exception of many lines", "x x x"),
    ],
)
def test_the_limit_that_was_hit_is_named(chat: ChatTemplate, name: str, wanted: str) -> None:
    assert wanted in outcome(chat, BOMBS[name])


@pytest.mark.slow
def test_a_hanging_template_is_stopped_by_the_real_limits(chat: ChatTemplate) -> None:
    result = outcome(chat, BOMBS["power"])
    assert "more than 3 s of processor time" in result or "more than 10 s" in result  # the latter on a busy machine


def test_the_child_process_sees_no_secrets_and_no_open_files(
    chat: ChatTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    monkeypatch.setenv("OXILLAMA_API_KEY", "secret")
    fresh = ChatTemplate({"default": HARMLESS}, {})
    with open(__file__) as held:
        os.set_inheritable(held.fileno(), True)
        assert fresh.render([USER]).text == "user"
    (process,) = fresh._processes._idle
    pid = process._child.pid
    with open(f"/proc/{pid}/environ", "rb") as environ:
        assert b"secret" not in environ.read()
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]
    fresh.close()
    assert process._child.returncode is not None


def test_a_long_conversation_can_make_a_long_prompt(chat: ChatTemplate) -> None:
    chat._sources["default"] = chat.source = "{% for m in messages %}{{ m.content }}{% endfor %}"
    try:
        assert len(chat.render([{"role": "user", "content": "x" * 3 * MEBIBYTE}])) == 3 * MEBIBYTE
    finally:
        chat._sources["default"] = chat.source = HARMLESS
