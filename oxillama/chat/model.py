"""`oxillama.Model`: the engine's Model with conversations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from oxillama.chat.conversation import Message, Role, ToolCall
from oxillama.chat.history import render
from oxillama.engine import model as engine_model
from oxillama.engine.requests.prompts import text_ids
from oxillama.errors import InvalidParameterError

if TYPE_CHECKING:
    from oxillama.engine.api.types import SamplingParams


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
        **values: Any,
    ) -> Iterator[str]:
        """The pieces of the answer to a conversation, as they are generated. Closing the iterator ends it.

        messages: `oxillama.chat.Message`s, or mappings in the shape of the OpenAI API: `role` ("system", "developer",
        "user", "assistant" or "tool"), `content` (a text, or a list of `{"type": "text", "text": …}`), and of an
        assistant `reasoning_content` and `tool_calls`, of a tool `tool_call_id`. Texts of control tokens in a message
        stay text. values: variables for the model's chat template, such as `enable_thinking=False`.

        Raises InvalidParameterError, TemplateError or ContextLengthError at once; reading raises GenerationError.
        """
        conversation = [m if isinstance(m, Message) else _message(m, at) for at, m in enumerate(messages)]
        if not conversation:
            raise InvalidParameterError("Invalid 'messages': there are none.", param="messages", code="empty_array")
        tokenizer = self.tokenizer  # a model without vocabulary is refused by its name
        ids = text_ids(tokenizer, render(self.chat_template, conversation, **values))
        events = self._start_generation(ids, sampling, param="messages")
        return (event.text for event in events if event.text)


_ROLES: dict[Any, Role] = {role: role for role in get_args(Role)} | {"developer": "system"}


def _message(given: Mapping[str, Any], at: int) -> Message:
    """A message in the shape of the OpenAI API. Raises InvalidParameterError with the path of the wrong part."""
    path = f"messages[{at}]"
    if not isinstance(given, Mapping):
        raise _invalid(path, "is neither a Message nor a mapping")
    role = _ROLES.get(given.get("role"))
    if role is None:
        raise _invalid(f"{path}.role", f"is {str(given.get('role'))[:40]!r}, not one of {', '.join(map(str, _ROLES))}")
    calls = given.get("tool_calls") or ()
    return Message(
        role=role,
        content=_content(given.get("content"), f"{path}.content"),
        name=given.get("name"),
        reasoning=given.get("reasoning_content") or given.get("reasoning") or "",
        tool_calls=tuple(_call(call, f"{path}.tool_calls[{n}]") for n, call in enumerate(calls)),
        tool_call_id=given.get("tool_call_id"),
    )


def _content(content: Any, path: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    texts = []
    for n, part in enumerate(content if isinstance(content, list | tuple) else [None]):
        text = part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else None
        if not isinstance(text, str):
            raise _invalid(f"{path}[{n}]" if isinstance(content, list | tuple) else path, "is not a text")
        texts.append(text)
    return "\n".join(texts)


def _call(given: Any, path: str) -> ToolCall:
    function = given.get("function") if isinstance(given, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise _invalid(path, "has no function with a name")
    return ToolCall(id=str(given.get("id", "")), name=function["name"], arguments=str(function.get("arguments", "")))


def _invalid(path: str, problem: str) -> InvalidParameterError:
    return InvalidParameterError(f"Invalid '{path}': it {problem}.", param=path)
