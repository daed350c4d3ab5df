"""oxillama run: prints one answer or completion while it is generated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oxillama.cli.shared import options
from oxillama.cli.shared.guard import usage_error
from oxillama.cli.shared.prompt import argument_text, parse_ids, read_text

if TYPE_CHECKING:
    from oxillama.engine.api.protocol import EngineLike

PROMPTS = "give one of PROMPT, --prompt TEXT, --prompt-file FILE and --prompt-ids 1,2,3"


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
    prompt_file: Annotated[
        Path | None,
        typer.Option(
            parser=options.given_path,
            metavar="FILE",
            help="Read the prompt from this file; - is standard input.",
            show_default=False,
        ),
    ] = None,
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
    threads: options.Threads = None,
    processors: options.CpuAffinity = None,
    ctx_size: options.CtxSize = None,
    kv_type: options.KVType = "auto",
    json: options.Json = False,
) -> None:
    """Answer one prompt, or continue it.

    A model with a chat template answers the prompt; any other, and every model with --raw, continues it. With --suffix,
    the text between the two is written. Standard output gets the generated text and nothing else.
    """
    if [words, prompt, prompt_file, prompt_ids].count(None) != 3:
        usage_error(PROMPTS)
    ids = None if prompt_ids is None else parse_ids(prompt_ids)
    text = read_text(prompt_file) if prompt_file is not None else argument_text(words or prompt or "")
    if special:
        print("oxillama: --special has become --raw", file=sys.stderr)

    from dataclasses import replace

    import trio

    from oxillama.cli.shared.completion import Completion, complete
    from oxillama.cli.shared.opened import opened
    from oxillama.cli.shared.output import print_json
    from oxillama.cli.shared.terminal.visible import visible
    from oxillama.cli.shared.terminal.wrap import Wrapper
    from oxillama.engine.requests.infill import Gap, fim_of, infill_prompt

    stops = tuple(map(argument_text, stop or ()))
    params = options.checked_params(**sampling.given(), stop=stops, ignore_eos=ignore_eos)
    path = options.model_or_embedded(model, "run")

    async def main() -> tuple[str, Completion]:
        async with opened(
            path, threads=threads, ctx_size=ctx_size, kv_type=kv_type, processors=processors
        ) as engine:
            if suffix is not None:
                gap = Gap(prefix=text if ids is None else ids, suffix=argument_text(suffix))
                start = await infill_prompt(engine, gap, param="suffix")
                limits = replace(params, stop_token_ids=fim_of(engine, "suffix").ends)
            else:
                start = ids if ids is not None else await prompt_of(engine, text, raw=raw or special)
                limits = params
            return engine.model_name, await complete(engine, Completion(tuple(start)), limits, write)

    on_terminal = sys.stdout.isatty()
    wrapper = Wrapper()

    def write(piece: str) -> None:
        if not json:
            sys.stdout.write(wrapper.feed(visible(piece)) if on_terminal else piece)
            sys.stdout.flush()

    name, completion = trio.run(main)
    if json:
        print_json(completion.as_json(name))
    elif on_terminal:
        end = "" if completion.text.endswith("\n") else "\n"  # for the shell's prompt; a pipe gets only the text
        sys.stdout.write(wrapper.finish() + end)


async def prompt_of(engine: EngineLike, text: str, *, raw: bool) -> tuple[int, ...]:
    """The tokens of a prompt: a user's message if the model has a chat template, else a text to continue."""
    from oxillama.chat import Message, chat_prompt
    from oxillama.engine.requests.prompts import prompt_ids

    template = engine.chat_template
    if raw or template is None or template.source is None:
        return await prompt_ids(engine, text)
    return await chat_prompt(engine, [Message(role="user", content=text)])
