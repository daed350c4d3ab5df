"""oxillama run: prints one answer or completion while it is generated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oxillama.cli.shared import options
from oxillama.cli.shared.guard import usage_error
from oxillama.cli.shared.prompt import argument_text, parse_ids, read_text

if TYPE_CHECKING:
    from oxillama.chat.options import ChatOptions
    from oxillama.engine.api.protocol import EngineLike
    from oxillama.engine.api.types import GenerationRequest, SamplingParams
    from oxillama.engine.requests.infill import Gap

PROMPTS = "give one of PROMPT, --prompt TEXT, --prompt-file FILE and --prompt-ids 1,2,3"


def file_option(text: str) -> Any:
    return typer.Option(parser=options.given_path, metavar="FILE", help=text, show_default=False)


@options.with_groups
def run(
    words: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", help="The message to the model, or the text to continue.", show_default=False),
    ] = None,
    model: options.Model = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", "-p", metavar="TEXT", help="The prompt as an option.", show_default=False)
    ] = None,
    prompt_file: Annotated[Path | None, file_option("Read the prompt from this file; - is standard input.")] = None,
    prompt_ids: Annotated[
        str | None, typer.Option(metavar="1,2,3", help="Token ids to continue instead of a text.", show_default=False)
    ] = None,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="Continue the prompt as it is, with its control tokens, without the chat template."),
    ] = False,
    suffix: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="Write what is between the prompt and this, with a model for code.", show_default=False
        ),
    ] = None,
    special: Annotated[bool, typer.Option("--special", hidden=True)] = False,
    *,
    sampling: options.SamplingOptions,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="End before this text; may be given more than once.", show_default=False),
    ] = None,
    ignore_eos: Annotated[bool, typer.Option("--ignore-eos", help="Continue where the model would end.")] = False,
    tools: Annotated[
        Path | None,
        file_option("Offer the tools in this JSON file; calls are printed as lines of JSON."),
    ] = None,
    json_schema: Annotated[Path | None, file_option("Answer with JSON that matches the schema in this file.")] = None,
    grammar: Annotated[
        Path | None,
        file_option("Answer with a text of the grammar in this file: GBNF if its name ends in .gbnf, else Lark."),
    ] = None,
    threads: options.Threads = None,
    processors: options.CpuAffinity = None,
    ctx_size: options.CtxSize = None,
    kv_type: options.KVType = "auto",
    json: options.Json = False,
) -> None:
    """Answer one prompt, or continue it.

    A model with a chat template answers the prompt; any other, and every model with --raw, continues it. With --suffix,
    the text between the two is written. Standard output gets the generated text and nothing else, except that a
    terminal also shows what the model thinks.
    """
    if [words, prompt, prompt_file, prompt_ids].count(None) != 3:
        usage_error(PROMPTS)
    ids = None if prompt_ids is None else parse_ids(prompt_ids)
    text = read_text(prompt_file) if prompt_file is not None else argument_text(words or prompt or "")
    if special:
        print("oxillama: --special has become --raw", file=sys.stderr)

    import trio

    from oxillama.cli.shared.asked import chat_options, naming_files
    from oxillama.cli.shared.completion import Completion, complete
    from oxillama.cli.shared.opened import opened
    from oxillama.cli.shared.output import print_json
    from oxillama.cli.shared.terminal.answer import PlainAnswer, Shown, TerminalAnswer
    from oxillama.engine.requests.infill import Gap

    asked = chat_options(tools, json_schema, grammar)
    stops = tuple(map(argument_text, stop or ()))
    params = options.checked_params(**sampling.given(), stop=stops, ignore_eos=ignore_eos)
    path = options.model_or_embedded(model, "run")
    answer = TerminalAnswer() if sys.stdout.isatty() else PlainAnswer()
    output = Shown(answer, _unseen if json else _seen)

    async def main() -> tuple[str, Completion]:
        async with opened(
            path, threads=threads, ctx_size=ctx_size, kv_type=kv_type, processors=processors
        ) as engine:
            with naming_files(tools, json_schema, grammar):
                if suffix is not None:
                    gap = Gap(prefix=text if ids is None else ids, suffix=argument_text(suffix))
                    request = await request_between(engine, gap, params, asked)
                else:
                    request = await request_for(engine, text if ids is None else ids, params, asked, raw=raw or special)
            return engine.model_name, await complete(engine, Completion(), request, output)

    name, completion = trio.run(main)
    if json:
        print_json(completion.as_json(name))
    else:
        _seen(answer.finish() + answer.last)


def _seen(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _unseen(text: str) -> None:
    """Nothing is shown before the object at the end."""


async def request_for(
    engine: EngineLike, prompt: str | tuple[int, ...], sampling: SamplingParams, asked: ChatOptions, *, raw: bool
) -> GenerationRequest:
    """The request for an answer to a user's message if the model has a chat template, else for a text's continuation.

    Raises OxillamaError if more than text is asked for where there is no conversation.
    """
    from oxillama.chat import Message
    from oxillama.chat.exchange import prepare
    from oxillama.engine.api.types import GenerationRequest
    from oxillama.engine.requests.prompts import prompt_ids

    template = engine.chat_template
    if not raw and isinstance(prompt, str) and template is not None and template.source is not None:
        exchange = await prepare(engine, [Message(role="user", content=prompt)], asked)
        return exchange.request(sampling)
    _check_plain(asked)
    ids = await prompt_ids(engine, prompt) if isinstance(prompt, str) else prompt
    return GenerationRequest(prompt_ids=tuple(ids), sampling=sampling)


async def request_between(
    engine: EngineLike, gap: Gap, sampling: SamplingParams, asked: ChatOptions
) -> GenerationRequest:
    """The request for the text between two others. Raises OxillamaError if more than text is asked for."""
    from dataclasses import replace

    from oxillama.engine.api.types import GenerationRequest
    from oxillama.engine.requests.infill import fim_of, infill_prompt

    _check_plain(asked)
    ids = await infill_prompt(engine, gap, param="suffix")
    ends = fim_of(engine, "suffix").ends
    return GenerationRequest(prompt_ids=tuple(ids), sampling=replace(sampling, stop_token_ids=ends))


def _check_plain(asked: ChatOptions) -> None:
    """Raise OxillamaError if what is asked for needs a conversation."""
    from oxillama.errors import OxillamaError

    if asked.tools or asked.format is not None:
        raise OxillamaError(
            "--tools, --json-schema and --grammar need a model with a chat template, and neither --raw nor --suffix"
        )
