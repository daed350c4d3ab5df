"""The messages and commands of a chat, with a scripted engine and a recording screen."""

from __future__ import annotations

import json
import os
import stat
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import get_type_hints

import pytest

from oxillama import chat
from oxillama.cli.chat.commands import COMMANDS
from oxillama.cli.chat.conversation import Chat
from oxillama.cli.chat.loop import converse
from oxillama.cli.chat.session import Message, Session, Settings
from oxillama.engine.api.config import EngineConfig
from oxillama.engine.api.sampling import SamplerSettings
from oxillama.engine.api.types import SamplerParams
from oxillama.engine.engine import Engine
from oxillama.errors import EngineClosedError, InvalidParameterError
from tests.support.fake_engine import FakeEngine
from tests.support.tiny_models import tiny_model


class Notes:
    """A screen that reads from a list. printed: everything except answers, as (how, text)."""

    interactive = False

    def __init__(self, *messages: str) -> None:
        self._messages = list(messages)
        self.answers = ""
        self.thoughts = ""
        self.printed: list[tuple[str, str]] = []

    def held(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def read(self) -> str | None:
        return self._messages.pop(0) if self._messages else None

    def interrupt(self) -> None: ...

    def write(self, piece: str) -> None:
        self.answers += piece

    def think(self, piece: str) -> None:
        self.thoughts += piece

    def call(self, name: str, arguments: str) -> None:
        self.printed.append(("call", f"{name} {arguments}"))

    def end_answer(self) -> None:
        self.answers += "|"

    def say(self, text: str) -> None:
        self.printed.append(("say", text))

    def notice(self, text: str) -> None:
        self.printed.append(("notice", text))

    def error(self, text: str) -> None:
        self.printed.append(("error", text))

    def only(self) -> str:
        """The only text that was printed."""
        ((_, text),) = self.printed
        return text


async def talk(
    *messages: str, engine: FakeEngine | None = None, session: Session | None = None
) -> tuple[Chat, Notes, FakeEngine]:
    notes = Notes(*messages)
    engine = engine or FakeEngine(reply="yes")
    chat = Chat(engine, session or Session(), notes)
    await converse(chat)
    return chat, notes, engine


async def test_every_turn_sees_the_turns_before_it() -> None:
    chat, notes, engine = await talk("one", "", "  ", "two", session=Session("be brief"))

    assert notes.answers == "yes|yes|"
    assert engine.prompt_text(engine.requests[1]) == (
        "<system>be brief</system><user>one</user><assistant>yes</assistant><user>two</user><assistant>"
    )
    assert [m.role for m in chat.session.messages] == ["user", "assistant"] * 2
    assert not chat.failed


async def test_the_turns_before_are_not_computed_again(tmp_path: Path) -> None:
    template = "{% for m in messages %}{{ m.content }}</s>{% endfor %}"
    model = tiny_model(tmp_path / "tiny.gguf", vocab="spm", chat_template=template)
    session = Session(settings=Settings(temperature=0.0, max_tokens=8))
    notes = Notes("one two three", "four", "/tokens")

    async with Engine.open(model, EngineConfig(n_threads=1, parallel=1)) as engine:
        chat = Chat(engine, session, notes)
        await converse(chat)

    assert chat.last is not None
    first = len(engine.tokenizer.encode("one two three</s>", parse_special=True))
    assert chat.last.usage.cached_tokens >= first
    assert f"{chat.last.usage.cached_tokens} of them from the prompt cache" in notes.only()


async def test_two_slashes_begin_a_message_with_one() -> None:
    chat, _, _ = await talk("//etc is a folder")

    assert chat.session.messages[0].content == "/etc is a folder"


async def test_an_unknown_command_is_reported_in_one_line_and_not_sent_as_a_message() -> None:
    chat, notes, engine = await talk("/sytem x", "/reset all", "hello")

    assert [how for how, _ in notes.printed] == ["error", "error"]
    assert "no command /sytem: /help" in notes.printed[0][1]
    assert notes.answers == "yes|"
    assert chat.failed
    assert len(engine.requests) == 1


async def test_help_names_every_command() -> None:
    _, notes, _ = await talk("/help")

    assert [line.split()[0] for line in notes.only().splitlines()[: len(COMMANDS)]] == list(COMMANDS)


async def test_system_sets_shows_and_removes() -> None:
    _chat, notes, engine = await talk("/system be kind", "/system", "hi", "/system none", "/system", "hi")

    assert ("say", "be kind") in notes.printed
    assert notes.printed[-1] == ("say", "no system prompt")
    assert "<system>be kind</system>" in engine.prompt_text(engine.requests[0])
    assert "<system>" not in engine.prompt_text(engine.requests[1])


async def test_params_reach_the_engine() -> None:
    _, notes, engine = await talk("/params temperature 0.25", "/params max_tokens=2", "/params seed none", "hi")

    sampling = engine.requests[0].sampling
    assert (sampling.temperature, sampling.max_tokens, sampling.seed) == (0.25, 2, None)
    assert notes.answers == "ye|"
    assert notes.printed[0] == ("say", "temperature  0.25")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("temprature", "1", "there is no parameter 'temprature'; there are temperature, "),
        ("temperature", "hot", "temperature: 'hot' is not a number or none"),
        ("top_k", "1e400", "top_k: '1e400' is not a whole number or none"),
        ("temperature", "-1", "'temperature'"),
        ("top_k", "0.5", "top_k: '0.5' is not a whole number"),
        ("seed", "x", "seed: 'x' is not a whole number or none"),
        ("top_p", "nan", "'top_p'"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(name: str, value: str, words: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        Settings().with_value(name, value)

    assert words in str(refused.value)


async def test_params_show_the_defaults_of_values_that_are_not_set() -> None:
    engine = FakeEngine(reply="yes")
    engine.sampling_defaults = SamplerSettings(temperature=0.3)

    _, notes, _ = await talk(
        "/params temperature", "/params temperature 1", "/params temperature none", "/params temp", "hi", engine=engine
    )

    assert [text for _, text in notes.printed] == [
        "temperature  0.3 (the model's default)",
        "temperature  1.0",
        "temperature  0.3 (the model's default)",
        f"there is no parameter 'temp'; there are {', '.join(Settings.__struct_fields__)}",
    ]
    assert engine.requests[0].sampling.temperature is None


async def test_tokens_counts_the_context_and_the_last_answer() -> None:
    _, notes, engine = await talk("/tokens", "hi", "/tokens")

    assert notes.printed[0][1].startswith("0 of 2048 tokens")
    used = len("<user>hi</user><assistant>yes</assistant>") + 1  # and BOS
    assert notes.printed[1][1].startswith(f"{used} of 2048 tokens")
    assert "answer: 4 tokens" in notes.printed[1][1]
    assert f"prompt: {len(engine.requests[0].prompt_ids)} tokens in 0.00 s, 0 of them" in notes.printed[1][1]


async def test_reset_forgets_the_messages_and_keeps_the_rest() -> None:
    chat, _, engine = await talk("/system s", "/params top_k 3", "hi", "/reset", "again")

    assert engine.prompt_text(engine.requests[1]) == "<system>s</system><user>again</user><assistant>"
    assert chat.session.settings.top_k == 3


async def test_a_saved_conversation_continues_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    first, _, _ = await talk("/system é", "/params seed 7", "hello\nyou", f"/save {file}")

    second, _, engine = await talk(f"/load {file}", "more")

    assert second.session.messages[:2] == first.session.messages
    assert second.session.settings == first.session.settings
    assert engine.prompt_text(engine.requests[0]) == (
        "<system>é</system><user>hello\nyou</user><assistant>yes</assistant><user>more</user><assistant>"
    )
    assert "é" in file.read_text(encoding="utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["chat.json"]


async def test_saving_replaces_a_conversation_but_nothing_else(tmp_path: Path) -> None:
    file, other = tmp_path / "chat.json", tmp_path / "thesis.json"
    other.write_text('{"text": "years of work"}')

    _, notes, _ = await talk(f"/save {file}", "hi", f"/save {file}", f"/save {other}")

    assert len(json.loads(file.read_bytes())["messages"]) == 2
    assert other.read_text() == '{"text": "years of work"}'
    assert notes.printed[-1] == ("error", f"{other}: not a saved conversation")


GOOD = {"format": "oxillama chat", "version": 1, "model": "m", "system": "", "settings": {}, "messages": []}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a saved conversation"),
        (b"\xff\xfe", "not a saved conversation"),
        (b"[" * 100_000, "not a saved conversation"),
        (b'{"format": "other", "version": 1}', "not a saved conversation"),
        (json.dumps(GOOD | {"version": 2}).encode(), "has version 2; this program reads version 1"),
        (json.dumps(GOOD | {"messages": [{"role": "user"}]}).encode(), "missing required field `content`"),
        (json.dumps(GOOD | {"messages": [{"role": "king", "content": ""}]}).encode(), "messages[0].role"),
        (json.dumps(GOOD | {"settings": {"top_p": 3}}).encode(), "top_p"),
        (json.dumps(GOOD | {"settings": {"topp": 1}}).encode(), "topp"),
        (json.dumps(GOOD).encode()[:-5], "not a saved conversation"),
    ],
    ids=range(10),
)
async def test_a_broken_file_is_reported_in_one_line_and_the_conversation_stays(
    tmp_path: Path, content: bytes, words: str
) -> None:
    file = tmp_path / "broken.json"
    file.write_bytes(content)

    chat, notes, _ = await talk("hi", f"/load {file}")

    (line,) = [text for how, text in notes.printed if how == "error"]
    assert line.startswith(f"{file}: ")
    assert words in line
    assert "\n" not in line
    assert len(chat.session.messages) == 2


@pytest.mark.parametrize("command", ["/save", "/load"])
async def test_a_pipe_is_no_conversation_and_not_waited_for(command: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    _, notes, _ = await talk(f"{command} {tmp_path / 'pipe'}")

    assert notes.printed == [("error", f"{tmp_path / 'pipe'}: not a saved conversation")]


async def test_a_failed_save_leaves_only_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "chat.json"
    await talk(f"/save {file}")
    before = file.read_bytes()

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    _, notes, _ = await talk("hi", f"/save {file}")

    assert notes.printed[-1] == ("error", f"{file}: No space left on device")
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["chat.json"]


async def test_a_full_context_names_the_way_out_and_keeps_the_session() -> None:
    chat, notes, _engine = await talk("hi", "x" * 100, "/reset", "hi", engine=FakeEngine(reply="yes", n_ctx=60))

    (line,) = [text for how, text in notes.printed if how == "error"]
    assert "context of 60 tokens" in line
    assert "/reset" in line
    assert "--ctx-size" in line
    assert notes.answers == "yes|yes|"
    assert len(chat.session.messages) == 2


async def test_an_answer_that_fills_the_context_prints_a_notice() -> None:
    _, notes, _ = await talk("hi", engine=FakeEngine(reply="y" * 100, n_ctx=60))

    assert "context of 60 tokens is full" in notes.only()


async def test_a_failed_generation_is_reported_in_one_line_and_the_chat_continues() -> None:
    chat, notes, _ = await talk("hi", "/help", engine=FakeEngine(fail_at=1))

    assert notes.answers == "H|"  # the error begins on a new line
    assert notes.printed[0] == ("error", "the scripted failure")
    assert len(notes.printed) == 2
    assert chat.session.messages == []


async def test_an_engine_that_has_ended_ends_the_chat() -> None:
    with pytest.raises(EngineClosedError):
        await talk("hi", "never read", engine=FakeEngine(fail_at=0, error=EngineClosedError("gone")))


async def test_exit_leaves_the_rest_unread() -> None:
    _, _notes, engine = await talk("/exit", "hi")

    assert engine.requests == []


def test_session_messages_become_chat_messages(tmp_path: Path) -> None:
    assert Session("", Settings(), [Message("user", "a")]).as_messages() == [chat.Message(role="user", content="a")]


def test_a_conversation_has_a_setting_for_every_parameter_of_samplers() -> None:
    settings = get_type_hints(Settings)
    for name, kind in get_type_hints(SamplerParams).items():
        assert settings[name] == kind
