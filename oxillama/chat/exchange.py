"""From a conversation and what is asked for to all that the engine needs: prompt, reader and constraint.

It is the one way to an answer, for servers, terminals and Python alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from oxillama.chat.constraints import place_in, reply_grammar, text_grammar
from oxillama.chat.formats import Tags, WireFormat, format_of, prompt_tail
from oxillama.chat.history import render
from oxillama.chat.history.replay import Asked, KeepingReader, Replay, Turns, turns_of
from oxillama.chat.options import AnswerFormat, ChatOptions, Grammar, JsonSchema, OneOf, Regex
from oxillama.chat.reply.reader import ReplyReader
from oxillama.chat.schemas import SchemaError
from oxillama.chat.validation import Validator, has_patterns, validator
from oxillama.engine.api.constraint import GrammarError
from oxillama.engine.api.types import GenerationRequest, Priority, SamplingParams
from oxillama.engine.requests.prompts import bounded_ids, prompt_ids, text_ids
from oxillama.errors import InvalidParameterError
from oxillama.text.prompt_text import prompt_text

if TYPE_CHECKING:
    from oxillama.chat.conversation import Message
    from oxillama.chat.formats.detect.probe import Template
    from oxillama.engine.api.constraint import Constraint
    from oxillama.engine.api.protocol import EngineLike, TokenizerLike
    from oxillama.engine.api.reading import Reader
    from oxillama.text import PromptText

ENOUGH = "\n\nI have enough; answering now.\n"
"""What a model thinks last when its budget of reasoning is spent. After a bare cut, models begin to think again."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One turn of a conversation, ready for the engine.

    prompt: tokens. reader: makes the reader of one reply, from how tokens are chosen. stop_ids: tokens that end the
    reply, besides the vocabulary's own. constraint: what it may consist of; None: anything. check: whether the whole
    reply matches its schemas; None: it does, or has none.
    """

    prompt: tuple[int, ...]
    reader: Callable[[SamplingParams], Reader]
    stop_ids: frozenset[int] = frozenset()
    constraint: Constraint | None = None
    check: Validator | None = None

    def request(
        self,
        sampling: SamplingParams,
        *,
        priority: Priority = Priority.INTERACTIVE,
        cache_prompt: bool = True,
        cache_scope: str | None = None,
    ) -> GenerationRequest:
        """The request for one reply. Stop strings count in the answer's text alone, not in reasoning and calls."""
        return GenerationRequest(
            prompt_ids=self.prompt,
            sampling=replace(sampling, stop=(), stop_token_ids=sampling.stop_token_ids | self.stop_ids),
            priority=priority,
            cache_prompt=cache_prompt,
            cache_scope=cache_scope,
            reader=lambda: self.reader(sampling),
            constraint=self.constraint,
            param="messages",
        )


async def prepare(
    engine: EngineLike,
    messages: Sequence[Message],
    options: ChatOptions,
    *,
    scope: str | None = None,
    replay: bool = True,
) -> Exchange:
    """The next turn of a conversation. The engine checks the length of the prompt.

    scope: whose conversation it is. replay: turns that the model wrote in the same scope get the tokens that it wrote,
    and the reply is kept for that.

    Raises TemplateError for a conversation that cannot be rendered, and InvalidParameterError for what cannot be done.
    """
    tokenizer = engine.tokenizer
    plan = await engine.with_template(lambda template: _plan(template, tokenizer, messages, options, scope, replay))
    constraint = None
    for asked, grammar in plan.grammars:
        with _blaming(asked):
            constraint = await engine.compile_grammar(grammar, foreign=_is_foreign(asked))
    if plan.replay is not None:
        rest = await bounded_ids(engine, plan.replay.rest, engine.n_ctx, add_special=False, parse_special=True)
        if (ids := plan.replay.prompt(rest, tokenizer)) is not None:
            return plan.exchange(ids, tokenizer, constraint)
    return plan.exchange(await prompt_ids(engine, plan.text), tokenizer, constraint)


async def text_constraint(engine: EngineLike, asked: AnswerFormat) -> Constraint:
    """What a text may consist of that continues another one. Raises InvalidParameterError."""
    options = ChatOptions(format=asked)
    format_ = await engine.with_template(lambda template: format_of(template, engine.tokenizer))
    with _blaming(options):
        grammar = text_grammar(format_, asked)
        return await engine.compile_grammar(grammar, foreign=_is_foreign(options))


def prepare_here(
    template: Template,
    tokenizer: TokenizerLike,
    messages: Sequence[Message],
    options: ChatOptions,
    compile_grammar: Compiler,
) -> Exchange:
    """`prepare` in the caller's thread."""
    plan = _plan(template, tokenizer, messages, options, None, True)
    constraint = None
    for asked, grammar in plan.grammars:
        with _blaming(asked):
            constraint = compile_grammar(grammar, foreign=_is_foreign(asked))
    if plan.replay is not None:
        rest = tokenizer.encode(plan.replay.rest, add_special=False, parse_special=True)
        if (ids := plan.replay.prompt(rest, tokenizer)) is not None:
            return plan.exchange(ids, tokenizer, constraint)
    return plan.exchange(text_ids(tokenizer, plan.text), tokenizer, constraint)


class Compiler(Protocol):
    """`Model.compile_grammar`."""

    def __call__(self, text: str, *, foreign: bool) -> Constraint: ...


@dataclass(frozen=True, slots=True)
class _Plan:
    """A turn before its prompt is tokenized and its grammar compiled. tail: what the template wrote after all content.

    grammars: see `_grammars`. turns: where the reply is kept, if it is. replay: what is kept of the turns before.
    n_messages, scope: see `Asked`.
    """

    turns: Turns | None
    replay: Replay | None
    n_messages: int
    scope: str | None
    text: PromptText
    tail: str
    format: WireFormat
    options: ChatOptions
    first_index: int
    grammars: list[tuple[ChatOptions, str]]

    def exchange(self, ids: tuple[int, ...], tokenizer: TokenizerLike, constraint: Constraint | None) -> Exchange:
        format_, options, tail = self.format, self.options, self.tail
        closing = _closing(format_, tokenizer) if options.thinking.budget is not None else ()

        def parser(of: WireFormat) -> Any:
            return of.parser(options.tools, options.choice, prompt_tail=tail, first_index=self.first_index)

        turns, asked = self.turns, Asked(self.text, ids, self.n_messages, self.scope)

        def reader(sampling: SamplingParams) -> Reader:
            read = ReplyReader(
                parser(format_),
                tokenizer,
                stop=sampling.stop,
                min_tokens=sampling.min_tokens,
                parallel=options.parallel,
                budget=options.thinking.budget,
                closing=closing,
                unsplit=None if options.thinking.split else parser(format_.unsplit),
            )
            if turns is None:
                return read
            return KeepingReader(read, lambda reply, message: turns.keep(asked, reply, message, tokenizer))

        found = (tokenizer.find(text) for text in format_.family.stops)
        check = validator(options, tried=constraint is not None)
        return Exchange(ids, reader, frozenset(i for i in found if i is not None), constraint, check)


def _grammars(format_: WireFormat, options: ChatOptions, tail: str) -> list[tuple[ChatOptions, str]]:
    """What to compile, each with what asked for it. The reply follows the last; without any, it is free.

    Where the reply must be calls, the form of an answer has no effect, but one that is wrong is refused all the same.
    """
    found: list[tuple[ChatOptions, str]] = []
    if options.choice.mode == "required" and (form := options.format) is not None:
        alone, options = ChatOptions(format=form), replace(options, format=None)
        with _blaming(alone):
            found.append((alone, text_grammar(format_, form)))
    with _blaming(options):
        if (grammar := reply_grammar(format_, options, tail)) is not None:
            found.append((options, grammar))
    return found


def _is_foreign(options: ChatOptions) -> bool:
    """Whether a client wrote a part of the grammar, such as a schema's regular expressions."""
    asked = options.format
    if isinstance(asked, Grammar | Regex):
        return True
    schemas = [tool.parameters for tool in options.choice.allowed(options.tools)]
    schemas += [asked.schema] if isinstance(asked, JsonSchema) else []
    return any(has_patterns(schema) for schema in schemas)


@contextmanager
def _blaming(options: ChatOptions) -> Iterator[None]:
    """Errors of a grammar in the words of the parameter that it was made of."""
    try:
        yield
    except InvalidParameterError as error:
        if error.param is not None:
            raise
        asked = options.format
        if isinstance(error, SchemaError):
            raise _schema_error(error, asked) from None
        param = "tools" if asked is None else _PARAMS[type(asked)]
        if isinstance(asked, Regex) and isinstance(error, GrammarError) and error.regex is not None:
            where = "" if error.at is None else f"at character {place_in(asked.pattern, error.at)}: "
            problem = f"{where}{error.regex}"
        else:
            problem = str(error)
        raise InvalidParameterError(f"Invalid '{param}': {problem}.", param=param, code=error.code) from None


def _schema_error(error: SchemaError, asked: AnswerFormat | None) -> InvalidParameterError:
    """The error in the words that clients know. It begins with the function whose schema it is, if it is a tool's."""
    if isinstance(asked, JsonSchema) and not str(error).startswith("function "):
        message = f"Invalid schema for response_format '{asked.name}': {error}."
        return InvalidParameterError(message, param="response_format", code="invalid_json_schema")
    message = f"Invalid schema for {error}."
    return InvalidParameterError(message, param="tools", code="invalid_function_parameters")


_PARAMS: dict[type[AnswerFormat], str] = {
    JsonSchema: "response_format",
    Grammar: "grammar",
    Regex: "regex",
    OneOf: "guided_choice",
}


def _plan(
    template: Template,
    tokenizer: TokenizerLike,
    messages: Sequence[Message],
    options: ChatOptions,
    scope: str | None,
    replays: bool,
) -> _Plan:
    """Render the conversation. Blocking."""
    format_ = format_of(template, tokenizer)
    values = _values(template, options)
    text = render(template, messages, tools=options.tools, write=format_.write, **values)
    if options.thinks is False:
        text = _closed(text, template, format_)
    first_index, tail = sum(len(message.tool_calls) for message in messages), prompt_tail(text)
    turns = turns_of(template) if replays else None
    return _Plan(
        turns=turns,
        replay=None if turns is None else turns.find(text, messages, scope),
        n_messages=len(messages),
        scope=scope,
        text=text,
        tail=tail,
        format=format_,
        options=options,
        first_index=first_index,
        grammars=_grammars(format_, options, tail),
    )


def _closing(format_: WireFormat, tokenizer: TokenizerLike) -> tuple[int, ...]:
    """The tokens that end the reasoning when its budget is spent; none if the family has no reasoning."""
    tags = next(iter(format_.family.reasoning), None)
    return () if tags is None else tuple(tokenizer.encode(ENOUGH + tags.close, False, True))


def _closed(text: PromptText, template: Template, format_: WireFormat) -> PromptText:
    """The prompt with its reasoning closed, for templates that have no switch for it."""
    tail, reasoning = prompt_tail(text), format_.family.reasoning
    tags = next((tags for tags in reasoning if tags.open in tail), None)
    if tags is not None:
        begun = tail[tail.rfind(tags.open) + len(tags.open) :]
        return text if tags.close in begun else prompt_text(text, _rest(_gap(tags), begun), tags.close, _gap(tags))
    own = next(iter(reasoning), None)
    if own is None or own.open not in (template.tool_source or ""):
        return text
    # Where messages have headers, what closes the reasoning also stands before every reply.
    if any(tags.close in tail for tags in reasoning) and not format_.family.headed:
        return text
    return prompt_text(text, own.open, _gap(own), own.close, _gap(own))


def _gap(tags: Tags) -> str:
    """What stands between and after tags of empty reasoning: a blank line where tags are like XML."""
    return "\n\n" if tags.close.startswith("</") else ""


def _rest(gap: str, begun: str) -> str:
    """The gap without what of it is there."""
    return gap[len(begun) - len(begun.rstrip("\n")) :]


_DEGREES = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def _values(template: Template, options: ChatOptions) -> dict[str, Any]:
    """The template's variables. A degree of effort that it does not know becomes the nearest one that it names."""
    values = options.template_values()
    effort, source = options.thinking.effort, template.tool_source or ""
    if effort is None or "reasoning_effort" in options.values:
        return values
    known = [degree for degree in _DEGREES if re.search(f"['\"]{degree}['\"]", source)]
    if known and effort not in known:
        at = _DEGREES.index(effort)
        values["reasoning_effort"] = min(known, key=lambda degree: abs(_DEGREES.index(degree) - at))
    return values
