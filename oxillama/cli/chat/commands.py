"""The slash commands of a conversation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from oxillama.chat import chat_prompt
from oxillama.cli.chat import autosave, saved
from oxillama.cli.chat.conversation import Chat
from oxillama.cli.chat.session import Session, unknown_parameter
from oxillama.cli.shared.completion import rate
from oxillama.errors import OxillamaError

LAST = "last"


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command. arguments: as /help shows them; "" if it has none. what: its description."""

    run: Callable[[Chat, str], Awaitable[None]]
    arguments: str
    what: str


async def run_command(chat: Chat, text: str) -> None:
    """Run the command in a line that begins with a slash. Raises OxillamaError and OSError."""
    name, *more = text.split(maxsplit=1)
    rest = "".join(more).strip()
    command = COMMANDS.get(name)
    if command is None:
        raise OxillamaError(f"there is no command {name}: /help lists them; to begin a message with /, type //")
    if rest and not command.arguments:
        raise OxillamaError(f"{name} takes no arguments")
    await command.run(chat, rest)


async def _help(chat: Chat, rest: str) -> None:
    lines = [f"{name} {command.arguments}".strip() for name, command in COMMANDS.items()]
    width = max(map(len, lines))
    described = [f"{line:<{width}}  {c.what}" for line, c in zip(lines, COMMANDS.values(), strict=True)]
    keys = 'Ctrl-C stops an answer; """ begins and ends a message of several lines; //x is the message /x'
    chat.screen.say("\n".join([*described, keys]))


async def _system(chat: Chat, rest: str) -> None:
    if not rest:
        chat.screen.say(chat.session.system or "no system prompt")
    else:
        chat.session.system = "" if rest == "none" else rest
        chat.screen.notice("the system prompt is set" if chat.session.system else "there is no system prompt now")


async def _params(chat: Chat, rest: str) -> None:
    words = rest.replace("=", " ").split()
    if len(words) > 2:
        raise OxillamaError("/params takes a name and a value, such as: /params temperature 0.5")
    if len(words) == 2:
        chat.session.settings = chat.session.settings.with_value(*words)
    values = chat.session.settings.shown(chat.engine.sampling_defaults)
    if words and words[0] not in values:
        raise unknown_parameter(words[0])
    shown = {words[0]: values[words[0]]} if words else values
    width = max(map(len, shown))
    chat.screen.say("\n".join(f"{name:<{width}}  {value}" for name, value in shown.items()))


async def _tokens(chat: Chat, rest: str) -> None:
    messages = chat.session.as_messages()
    used = 0
    if messages:
        used = len(await chat_prompt(chat.engine, messages, add_generation_prompt=False))
    lines = [f"{used} of {chat.engine.n_ctx} tokens of context are used"]
    if chat.last is not None:
        usage, timings = chat.last.usage, chat.last.timings
        speed = rate(len(chat.last.ids) - 1, timings.decode_s)
        lines += [
            f"the last answer: {usage.completion_tokens} tokens{f' at {speed:.1f} tokens/s' if speed else ''}",
            f"its prompt: {usage.prompt_tokens} tokens in {timings.prefill_s:.2f} s, "
            f"{usage.cached_tokens} of them from the prompt cache",
        ]
    chat.screen.say("\n".join(lines))


async def _reset(chat: Chat, rest: str) -> None:
    chat.begin(Session(chat.session.system, chat.session.settings))
    chat.screen.notice("the messages are forgotten; the system prompt and the parameters stay")


async def _save(chat: Chat, rest: str) -> None:
    path = _path(rest, "/save")
    saved.save(path, chat.session, chat.engine.model_name)
    chat.screen.notice(f"saved {len(chat.session.messages)} messages in {path}")


async def _load(chat: Chat, rest: str) -> None:
    if rest == LAST:
        path = autosave.latest(other_than=chat.autosave.path if chat.autosave else None)
    else:
        path = _path(rest, "/load")
    chat.begin(saved.load(path))
    chat.screen.notice(f"loaded {len(chat.session.messages)} messages from {path}")


async def _exit(chat: Chat, rest: str) -> None:
    chat.over = True


def _path(text: str, command: str) -> Path:
    if not text:
        raise OxillamaError(f"{command} needs the name of a file")
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~name of an unknown user
        return Path(text)


COMMANDS = {
    "/system": Command(_system, "[TEXT|none]", "show, set or remove the system prompt"),
    "/params": Command(_params, "[NAME VALUE]", "show how answers are sampled, or change it"),
    "/tokens": Command(_tokens, "", "show how full the context is and how fast the last answer was"),
    "/save": Command(_save, "FILE", "write the conversation into a file"),
    "/load": Command(_load, "FILE|last", "continue a conversation from a file, or the last saved one"),
    "/reset": Command(_reset, "", "forget the messages"),
    "/help": Command(_help, "", "show this"),
    "/bye": Command(_exit, "", "leave, as Ctrl-D does"),
    "/exit": Command(_exit, "", "the same"),
}
