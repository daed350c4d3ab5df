"""oxillama run: one completion, written as it is generated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from oxillama.cli.shared import options
from oxillama.cli.shared.guard import usage_error
from oxillama.cli.shared.prompt import argument_text, parse_ids, read_text


def run(
    model: options.Model = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", "-p", help='The text to continue; "" starts a text.', show_default=False)
    ] = None,
    prompt_file: Annotated[
        Path | None, typer.Option(help="Read the prompt from this file; - is standard input.", show_default=False)
    ] = None,
    prompt_ids: Annotated[
        str | None, typer.Option(metavar="1,2,3", help="Token ids in place of a text.", show_default=False)
    ] = None,
    max_tokens: options.MaxTokens = None,
    temp: options.Temp = 0.8,
    top_k: options.TopK = 40,
    top_p: options.TopP = 0.95,
    min_p: options.MinP = 0.05,
    repeat_penalty: options.RepeatPenalty = 1.0,
    repeat_last_n: options.RepeatLastN = 64,
    frequency_penalty: options.FrequencyPenalty = 0.0,
    presence_penalty: options.PresencePenalty = 0.0,
    seed: options.Seed = None,
    stop: Annotated[
        list[str] | None, typer.Option(help="End before this text; may be given more than once.", show_default=False)
    ] = None,
    ignore_eos: Annotated[bool, typer.Option("--ignore-eos", help="Go on where the model would end.")] = False,
    special: options.Special = False,
    threads: options.Threads = None,
    ctx_size: options.CtxSize = None,
    kv_type: options.KVType = "auto",
    json: options.Json = False,
) -> None:
    """Continue a prompt. Standard output gets the generated text and nothing else."""
    if [prompt, prompt_file, prompt_ids].count(None) != 2:
        usage_error("give one of --prompt TEXT, --prompt-file FILE and --prompt-ids 1,2,3")
    ids = None if prompt_ids is None else parse_ids(prompt_ids)
    text = read_text(prompt_file) if prompt_file is not None else argument_text(prompt or "")

    path = options.model_or_embedded(model, "run")

    import trio

    from oxillama.cli.shared.completion import Completion, complete
    from oxillama.cli.shared.opened import opened
    from oxillama.cli.shared.output import print_json
    from oxillama.cli.shared.visible import visible
    from oxillama.engine.api.types import SamplingParams

    sampling = SamplingParams(
        temperature=temp,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repeat_penalty=repeat_penalty,
        repeat_last_n=repeat_last_n,
        frequency_penalty=frequency_penalty,
        presence_penalty=presence_penalty,
        seed=seed,
        max_tokens=max_tokens,
        stop=tuple(map(argument_text, stop or ())),
        ignore_eos=ignore_eos,
    )

    async def main() -> tuple[str, Completion]:
        async with opened(path, threads=threads, ctx_size=ctx_size, kv_type=kv_type) as engine:
            prompt_ids = ids if ids is not None else await engine.encode(text, parse_special=special)
            return engine.model_name, await complete(engine, Completion(tuple(prompt_ids)), sampling, write)

    on_terminal = sys.stdout.isatty()

    def write(piece: str) -> None:
        if not json:
            sys.stdout.write(visible(piece) if on_terminal else piece)
            sys.stdout.flush()

    name, completion = trio.run(main)
    if json:
        print_json(completion.as_json(name))
    elif on_terminal and not completion.text.endswith("\n"):
        print()  # for the shell's prompt; a pipe gets the text alone
