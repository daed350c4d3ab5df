"""Automatic saving of conversations: which are kept, how many, and what happens if saving fails."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from oxillama.cli.chat.autosave import MOST_KEPT, Autosave, latest
from oxillama.cli.chat.conversation import Chat
from oxillama.cli.chat.loop import converse
from oxillama.cli.chat.saved import load
from oxillama.cli.chat.session import Message, Session
from oxillama.errors import OxillamaError
from tests.cli.chat.test_commands import Notes
from tests.support.fake_engine import FakeChatTemplate, FakeEngine


@pytest.fixture(autouse=True)
def chats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state/oxillama/chats"


async def talk(*messages: str, autosave: Autosave | None = None) -> tuple[Chat, Notes]:
    notes = Notes(*messages)
    chat = Chat(FakeEngine(reply="yes"), Session(), notes, autosave)
    await converse(chat)
    return chat, notes


async def test_what_the_model_thought_is_shown_and_saved_beside_its_answer(chats: Path) -> None:
    notes = Notes("one")
    engine = FakeEngine(reply="<think>\nhm\n</think>\n\nyes", chat_template=FakeChatTemplate(source="<think>"))
    await converse(Chat(engine, Session(), notes, Autosave()))
    assert (notes.thoughts, notes.answers) == ("hm", "yes|")
    (file,) = chats.iterdir()
    assert json.loads(file.read_bytes())["messages"][1] == {"role": "assistant", "content": "yes", "reasoning": "hm"}
    assert load(file).messages[1].reasoning == "hm"


async def test_a_conversation_is_saved_from_its_first_answer_on_readable_only_by_its_owner(chats: Path) -> None:
    await talk("/help", autosave=Autosave())
    assert not chats.exists()

    await talk("one", "two", autosave=Autosave())

    (file,) = chats.iterdir()
    assert [m["content"] for m in json.loads(file.read_bytes())["messages"]] == ["one", "yes", "two", "yes"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(chats.stat().st_mode) == 0o700


async def test_reset_and_load_begin_another_one_and_last_is_the_one_before(chats: Path) -> None:
    chat, _ = await talk("one", "/reset", "two", "/load last", "three", autosave=Autosave())

    kept = [[m["content"] for m in json.loads(f.read_bytes())["messages"]] for f in sorted(chats.iterdir())]
    assert kept == [["one", "yes"], ["two", "yes"], ["one", "yes", "three", "yes"]]
    assert [m.content for m in chat.session.messages] == ["one", "yes", "three", "yes"]


async def test_last_is_found_without_autosave_too_and_its_absence_is_one_line(chats: Path) -> None:
    _, notes = await talk("/load last")
    assert notes.only() == f"no earlier conversation is saved in {chats}"

    await talk("one", autosave=Autosave())
    chat, _ = await talk("/load last")

    assert [m.content for m in chat.session.messages] == ["one", "yes"]


def test_only_the_latest_conversations_are_kept_and_other_files_stay(chats: Path) -> None:
    session = Session(messages=[Message("user", "a"), Message("assistant", "b")])
    chats.mkdir(parents=True)
    (chats / "notes.txt").write_text("mine")
    names = []
    for n in range(MOST_KEPT + 5):
        autosave = Autosave()
        assert autosave.keep(session, "m") is None
        assert autosave.path is not None
        os.utime(autosave.path, (n, n))
        names.append(autosave.path.name)

    assert {f.name for f in chats.iterdir()} == {*names[-MOST_KEPT:], "notes.txt"}
    assert latest().name == names[-1]


async def test_an_unwritable_folder_is_reported_once_and_the_chat_continues(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")

    _, notes = await talk("one", "two", autosave=Autosave())

    assert notes.answers == "yes|yes|"
    assert notes.only().startswith("this conversation is not saved: ")


async def test_the_error_for_a_user_without_a_home_names_the_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "")

    assert "set HOME or XDG_STATE_HOME" in str(Autosave().keep(Session(), "m"))
    with pytest.raises(FileNotFoundError, match="XDG_STATE_HOME"):
        latest()
    _, notes = await talk("/load last")
    assert "set HOME or XDG_STATE_HOME" in notes.only()


def test_a_missing_folder_has_no_conversations(chats: Path) -> None:
    with pytest.raises(OxillamaError, match="no earlier conversation"):
        latest()
