"""Runs that call tools: an engine that calls what a test says and answers with the results, and a search."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from oxillama.errors import OxillamaError
from oxillama.text import PromptText
from oxillama.text.prompt_text import prompt_text
from oxillama.vector_stores.passages import Passage, Place, SearchOptions
from tests.support.fake_engine import FakeChatTemplate, FakeEngine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oxillama.engine.api.types import GenerationRequest


def function(name: str, **properties: Any) -> dict[str, Any]:
    """A function tool whose arguments are these properties."""
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": f"{name}.", "parameters": parameters}}


WEATHER = function("weather", city={"type": "string"})
TIME = function("time")
SEARCH: dict[str, Any] = {"type": "file_search"}
ANY = SearchOptions()
RIVERS = {"file_search": {"vector_store_ids": ["vs_rivers"]}}


def call(name: str, **arguments: Any) -> str:
    """A call as the model writes it."""
    return f'<tool_call>\n{{"name": "{name}", "arguments": {json.dumps(arguments)}}}\n</tool_call>'


class ToolTemplate(FakeChatTemplate):
    """Also renders the tools that it is given."""

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **kwargs: Any,
    ) -> PromptText:
        text = super().render(messages, add_generation_prompt=add_generation_prompt, **kwargs)
        offered = PromptText.of_content(json.dumps(list(tools))) if tools else ""
        return prompt_text("<tools>", offered, "</tools>", text) if tools else text


class ToolEngine(FakeEngine):
    """Writes one reply after another in each run, then says what the results were.

    replies: the first reply, the one after the first results, and so on.
    """

    def __init__(self, *replies: str, tools: bool = True, **options: Any) -> None:
        template = ToolTemplate() if tools else FakeChatTemplate()
        super().__init__(reply=self._next, chat_template=template, **options)
        self.replies = replies

    def _next(self, request: GenerationRequest) -> str:
        prompt = self.prompt_text(request)
        rounds = len(re.findall(r"<assistant>[^<]*\{", prompt))
        if rounds < len(self.replies):
            return self.replies[rounds]
        return "Results: " + ", ".join(re.findall(r"<tool>(.*?)</tool>", prompt, re.DOTALL))


class FakeSearch:
    """Finds the passages that it is given, whatever it is asked. error: raised instead."""

    def __init__(self, *texts: str, error: OxillamaError | None = None) -> None:
        self.texts = texts
        self.error = error
        self.asked: list[tuple[list[str], str, SearchOptions]] = []

    async def search(
        self, vector_store_ids: Sequence[str], query: str, options: SearchOptions = ANY
    ) -> list[Passage]:
        self.asked.append((list(vector_store_ids), query, options))
        if self.error is not None:
            raise self.error
        return [
            Passage(text, f"file-{n}", f"{n}.md", 0.9 - n / 10, {}, Place(n, 0, len(text)), vector_store_ids[0])
            for n, text in enumerate(self.texts)
        ]
