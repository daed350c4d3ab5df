"""`oxillama.Model`: the engine's Model with conversations."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from oxillama.chat.exchange import prepare_here
from oxillama.chat.mappings import choice_of, conversation_of, format_of_answer, tools_of, values_of
from oxillama.chat.options import ChatOptions, Thinking
from oxillama.chat.reply.events import Content
from oxillama.chat.reply.message import Reply, ReplyBuilder
from oxillama.engine import model as engine_model
from oxillama.engine.api.types import SamplingParams
from oxillama.errors import GenerationError

if TYPE_CHECKING:
    from oxillama.chat.conversation import Message
    from oxillama.chat.options import AnswerFormat, Effort
    from oxillama.chat.reply.reader import Part
    from oxillama.chat.tools import Tool, ToolChoice
    from oxillama.engine.api.types import TokenEvent


class ChatAnswer:
    """An answer under way. Iterating yields the pieces of its text; closing or dropping it ends the generation.

    Reasoning and calls are in `parts()` and in the whole `reply`.
    """

    def __init__(self, events: Generator[TokenEvent, None, None]) -> None:
        self._events = events
        self._builder = ReplyBuilder()
        self._pieces: deque[str] = deque()
        self._reply: Reply | None = None

    def __iter__(self) -> ChatAnswer:
        return self

    def __next__(self) -> str:
        """The next piece of text. Raises GenerationError."""
        while not self._pieces:
            self._pieces.extend(p.text for p in self._advance() if isinstance(p, Content) and p.text)
        return self._pieces.popleft()

    def parts(self) -> Iterator[Part]:
        """All parts from here on: text, reasoning and calls as they come (`oxillama.chat.reply.events`)."""
        while True:
            try:
                yield from self._advance()
            except StopIteration:
                return

    @property
    def reply(self) -> Reply:
        """The whole reply, once the rest of it has been read. Raises GenerationError."""
        while self._reply is None:
            try:
                self._advance()
            except StopIteration:
                raise GenerationError("the answer was closed before its end") from None
        return self._reply

    def close(self) -> None:
        """End the generation. Closing twice is harmless."""
        self._events.close()

    def _advance(self) -> tuple[Any, ...]:
        event = next(self._events)
        self._builder.add(event.parts)
        if event.finish_reason is not None:
            self._reply = self._builder.reply(event.finish_reason)
        return event.parts


class Model(engine_model.Model):
    """A GGUF model, loaded. Threads may share one; they take turns.

        with Model("model.gguf") as model:
            for piece in model.chat([{"role": "user", "content": "Name three rivers."}]):
                print(piece, end="")

    `chat` answers a conversation, `generate` continues a text; `logits` and `embed` give numbers. Several iterators may
    be open at once: whichever is read from advances all of them together.
    """

    def chat(
        self,
        messages: Sequence[Message | Mapping[str, Any]],
        sampling: SamplingParams | None = None,
        *,
        tools: Sequence[Tool | Mapping[str, Any]] | None = None,
        tool_choice: ToolChoice | str | Mapping[str, Any] | None = None,
        parallel_tool_calls: bool = True,
        response_format: AnswerFormat | Mapping[str, Any] | None = None,
        reasoning_effort: Effort | None = None,
        reasoning_budget: int | None = None,
        **values: Any,
    ) -> ChatAnswer:
        """The answer to a conversation: iterate over its text as it is generated, or take the whole `reply`.

        messages: `oxillama.Message`s, or mappings in the shape of the OpenAI API: `role` ("system", "developer",
        "user", "assistant" or "tool"), `content` (a text, or a list of `{"type": "text", "text": …}`), and of an
        assistant `reasoning_content` and `tool_calls`, of a tool `tool_call_id`. Texts of control tokens in a message
        stay text. tools, tool_choice, response_format: mappings of that API, or `Tool`, `ToolChoice` and the formats
        of `oxillama.chat.options`. reasoning_budget: most tokens of reasoning. values: variables for the model's chat
        template, such as `enable_thinking=False`.

        Raises InvalidParameterError, TemplateError or ContextLengthError at once; reading raises GenerationError.
        """
        conversation = conversation_of(messages)
        options = ChatOptions(
            tools=tools_of(tools),
            choice=choice_of(tool_choice),
            parallel=parallel_tool_calls,
            format=format_of_answer(response_format),
            thinking=Thinking(effort=reasoning_effort, budget=reasoning_budget),
            values=values_of(values),
        )
        tokenizer = self.tokenizer  # a model without vocabulary is refused by its name
        exchange = prepare_here(self.chat_template, tokenizer, conversation, options, self.compile_grammar)
        return ChatAnswer(self._start_request(exchange.request(sampling or SamplingParams())))
