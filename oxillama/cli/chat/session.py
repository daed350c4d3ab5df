"""The data of a conversation: the system prompt, the messages, and the sampling settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from oxillama import chat
from oxillama.engine.api.samplers import sampler_order
from oxillama.engine.api.sampling import SamplerSettings
from oxillama.engine.api.types import SamplingParams
from oxillama.errors import InvalidParameterError


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sampling settings of a conversation: the fields of SamplingParams for all answers. None: the default."""

    temperature: float | None = None
    dynatemp_range: float | None = None
    dynatemp_exponent: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    top_a: float | None = None
    top_n_sigma: float | None = None
    epsilon_cutoff: float | None = None
    eta_cutoff: float | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    repeat_penalty: float | None = None
    repeat_last_n: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_penalty_last_n: int | None = None
    dry_sequence_breakers: tuple[str, ...] | None = None
    mirostat: int | None = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    samplers: tuple[str, ...] | None = None
    banned_strings: tuple[str, ...] | None = None
    seed: int | None = None
    max_tokens: int | None = None

    def sampling(self) -> SamplingParams:
        """The settings as SamplingParams. Raises InvalidParameterError for a value out of range."""
        values = msgspec.structs.asdict(self)
        return SamplingParams(**values | {"banned_strings": self.banned_strings or ()})

    def shown(self, defaults: SamplerSettings) -> dict[str, str]:
        """The values as text. A value that is None is shown as that of `defaults`."""
        found = {}
        for name, value in msgspec.structs.asdict(self).items():
            default = getattr(defaults, name, None)
            if value is None and default is not None:
                found[name] = f"{_text(default)} (the model's default)"
            else:
                found[name] = "none" if value is None else _text(value)
        return found

    def with_value(self, name: str, text: str) -> Settings:
        """These settings with one value changed to the text a user typed. Raises InvalidParameterError."""
        known = {field.name: field for field in msgspec.structs.fields(self)}
        if name not in known:
            raise unknown_parameter(name)
        value: Any = None if text == "none" else text
        if known[name].type == tuple[str, ...] | None and value is not None:
            value = sampler_order(text) if name == "samplers" else _texts(text)
        try:
            value = msgspec.convert(value, known[name].type, strict=False)
        except msgspec.ValidationError:
            kind = "a number" if known[name].type == float | None else "a whole number"
            raise InvalidParameterError(f"{name}: {text!r} is not {kind} or none") from None
        changed = msgspec.structs.replace(self, **{name: value})
        changed.sampling()
        return changed


def _text(value: Any) -> str:
    return ";".join(one.replace("\n", "\\n") for one in value) if isinstance(value, tuple) else str(value)


def _texts(text: str) -> tuple[str, ...]:
    """What `_text` wrote; `\\n` is a new line."""
    return tuple(part.replace("\\n", "\n") for part in text.split(";"))


def unknown_parameter(name: str) -> InvalidParameterError:
    known = ", ".join(Settings.__struct_fields__)
    return InvalidParameterError(f"there is no parameter {name!r}; there are {known}")


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of the user or the assistant."""

    role: Literal["user", "assistant"]
    content: str
    reasoning: str = ""


@dataclass(slots=True)
class Session:
    """A conversation so far. system: "" means no system prompt."""

    system: str = ""
    settings: Settings = field(default_factory=Settings)
    messages: list[Message] = field(default_factory=list)

    def as_messages(self, *more: Message) -> list[chat.Message]:
        """The messages for the prompt: the system prompt, the conversation so far, and `more`."""
        system = [chat.Message(role="system", content=self.system)] if self.system else []
        return system + [
            chat.Message(role=m.role, content=m.content, reasoning=m.reasoning) for m in (*self.messages, *more)
        ]
