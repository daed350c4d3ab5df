"""Held-out calls, tasks of two calls, and JSON answers: prompts, how the engine answers them, and what is right."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from oxillama.embedded.chat import CALL, CALL_END
from oxillama.embedded.data.held_out import calls, documents, tasks
from oxillama.engine.api.protocol import EngineLike
from oxillama.engine.api.types import GenerationRequest, SamplingParams
from oxillama.engine.requests.prompts import prompt_ids
from oxillama.text import ChatTemplate, PromptText
from oxillama.text.prompt_text import prompt_text

Message = dict[str, Any]
MOST_ROUNDS = 4
INSTRUCTION = "Your answer is a JSON object of this JSON schema: "
KINDS = {"strings": {"type": "array", "items": {"type": "string"}}}


def field_schema(kind: str | list[str]) -> dict[str, Any]:
    if isinstance(kind, list):
        return {"type": "string", "enum": kind}
    return KINDS.get(kind, {"type": kind})


def object_schema(fields: dict[str, Any]) -> dict[str, Any]:
    properties = {name.rstrip("?"): field_schema(kind) for name, kind in fields.items()}
    return {"type": "object", "properties": properties, "required": [name for name in fields if not name.endswith("?")]}


def tools(names: Sequence[str]) -> list[dict[str, Any]]:
    """The held-out tools of these names, as OpenAI's API takes them."""
    found = []
    for name in names:
        description, fields = {**calls.TOOLS, **tasks.TOOLS}[name]
        function = {"name": name, "description": description, "parameters": object_schema(fields)}
        found.append({"type": "function", "function": function})
    return found


def parse_calls(text: str) -> list[dict[str, Any]] | None:
    """The calls that an answer consists of; None if it has none or anything beside them."""
    found = []
    for part in text.split(CALL)[1:]:
        body, mark, tail = part.partition(CALL_END)
        if not mark or tail.strip():
            return None
        try:
            found.append(json.loads(body))
        except ValueError:
            return None
    return found if found and not text.partition(CALL)[0].strip() else None


async def answer(
    engine: EngineLike,
    messages: list[Message],
    offered: list[dict[str, Any]] | None = None,
    begun: str = "",
    most: int = 300,
) -> str:
    """The model's greedy answer; begun: its first words, which are given."""

    def render(template: ChatTemplate) -> PromptText:
        return prompt_text(template.render(messages, tools=offered), begun)

    ids = await prompt_ids(engine, await engine.with_template(render))
    request = GenerationRequest(prompt_ids=ids, sampling=SamplingParams(temperature=0.0, max_tokens=most))
    async with engine.generate(request) as stream:
        return "".join([event.text async for event in stream])


@dataclass(slots=True)
class Task:
    """A task of two calls. done: what the model did, round by round."""

    names: tuple[str, ...]
    asked: str
    wanted: tuple[tasks.Call, ...]
    contains: tuple[str, ...]
    done: list[str] = field(default_factory=list)
    right: bool = False
    group: str = "tasks of two calls"

    @property
    def shown(self) -> str:
        return f"{self.group}: {self.asked}" + "".join(f"\n    {text!r}" for text in self.done)

    async def run(self, engine: EngineLike) -> None:
        """Answer its calls until the model answers without any."""
        messages: list[Message] = [{"role": "user", "content": self.asked}]
        results = {(name, json.dumps(arguments, sort_keys=True)): result for name, arguments, result in self.wanted}
        open_calls = set(results)
        for _ in range(MOST_ROUNDS):
            text = await answer(engine, messages, tools(self.names))
            self.done.append(text)
            made = parse_calls(text)
            if made is None:
                self.right = not open_calls and all(part in text for part in self.contains)
                return
            messages.append({"role": "assistant", "content": text})
            for call in made:
                key = call.get("name"), json.dumps(call.get("arguments"), sort_keys=True)
                if key not in open_calls:
                    return
                open_calls.discard(key)
                messages.append({"role": "tool", "content": results[key]})


def all_tasks() -> list[Task]:
    return [Task(*task) for task in tasks.TASKS]


@dataclass(slots=True)
class Reading:
    """A text of which the model gives the fields as JSON. by_keys: keys are given one by one, as a grammar gives them,
    and nothing asks for JSON; else the prompt has the schema."""

    text: str
    fields: dict[str, Any]
    wanted: dict[str, Any]
    by_keys: bool
    got: str = ""

    async def run(self, engine: EngineLike) -> None:
        messages: list[Message] = [{"role": "user", "content": self.text}]
        if not self.by_keys:
            schema = json.dumps(object_schema(self.fields))
            self.got = await answer(engine, [{"role": "system", "content": INSTRUCTION + schema}, *messages])
            return
        self.got = "{"
        for i, key in enumerate(self.fields):
            self.got += (", " if i else "") + json.dumps(key) + ":"
            text = await answer(engine, messages, begun=self.got, most=60)
            start = text[: len(text) - len(text.lstrip())]
            try:
                _, end = json.JSONDecoder().raw_decode(text.lstrip())
            except ValueError:
                self.got += text
                return
            self.got += start + text.lstrip()[:end]
        self.got += "}"

    @property
    def group(self) -> str:
        return f"JSON answers, {'keys given' if self.by_keys else 'schema in the prompt'}"

    @property
    def shown(self) -> str:
        return f"{self.group}: {self.text}\n    {self.got}"

    @property
    def right(self) -> bool:
        try:
            return bool(json.loads(self.got) == self.wanted)
        except ValueError:
            return False


def all_readings() -> list[Reading]:
    return [Reading(*document, by_keys=by_keys) for by_keys in (False, True) for document in documents.DOCUMENTS]
