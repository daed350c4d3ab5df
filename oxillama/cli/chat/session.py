"""What a conversation consists of: the system prompt, the messages, and how answers are sampled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from oxillama.engine.api.types import SamplingParams
from oxillama.errors import InvalidParameterError


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How answers are sampled: the fields of SamplingParams that make sense for a whole conversation."""

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    repeat_last_n: int = 64
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int | None = None
    max_tokens: int | None = None

    def sampling(self) -> SamplingParams:
        """Raises InvalidParameterError for a value out of range."""
        return SamplingParams(**msgspec.structs.asdict(self))

    def with_value(self, name: str, text: str) -> Settings:
        """These settings with one changed to what a user wrote. Raises InvalidParameterError."""
        known = {field.name: field for field in msgspec.structs.fields(self)}
        if name not in known:
            raise InvalidParameterError(f"there is no parameter {name!r}; there are {', '.join(known)}")
        value: Any = None if text == "none" else text
        try:
            value = msgspec.convert(value, known[name].type, strict=False)
        except msgspec.ValidationError:
            optional = known[name].default is None
            kind = "a whole number" if optional or isinstance(known[name].default, int) else "a number"
            raise InvalidParameterError(f"{name}: {text!r} is not {kind}{' or none' if optional else ''}") from None
        changed = msgspec.structs.replace(self, **{name: value})
        changed.sampling()
        return changed


class Message(msgspec.Struct, frozen=True):
    """One turn of one side."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(slots=True)
class Session:
    """A conversation so far; `system` "" means no system prompt."""

    system: str = ""
    settings: Settings = field(default_factory=Settings)
    messages: list[Message] = field(default_factory=list)

    def as_messages(self, *more: Message) -> list[dict[str, str]]:
        """What the chat template renders."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return system + [{"role": m.role, "content": m.content} for m in (*self.messages, *more)]
