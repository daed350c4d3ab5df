"""oxillama bench: tokens per second of one model on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from oxillama.cli import options


def bench(
    model: options.Model = None,
    threads: options.Threads = None,
    prompt: Annotated[int, typer.Option("--prompt", "-p", min=1, help="Tokens in a prefill.")] = 512,
    new: Annotated[int, typer.Option("--new", "-n", min=1, help="Tokens to decode.")] = 48,
    depth: Annotated[int, typer.Option(min=0, help="Tokens already in the context.")] = 0,
    sequences: Annotated[int, typer.Option(min=1, max=1024, help="Sequences to decode together.")] = 1,
    reps: Annotated[int, typer.Option("--reps", "-r", min=1, help="How often; the medians count.")] = 5,
    json: options.Json = False,
) -> None:
    """Measure prefill and decode. Decode speed is of all sequences together; sampling is not part of it."""
    path = options.model_or_embedded(model, "bench")

    from oxillama.cli.measure import measure
    from oxillama.cli.output import print_json
    from oxillama.cli.progress import load_progress
    from oxillama.core import _core

    with load_progress(path) as progress:
        result = measure(
            path,
            n_threads=threads,
            prompt=prompt,
            new=new,
            depth=depth,
            sequences=sequences,
            reps=reps,
            progress=progress,
        )
    result = {"model": str(path), "kernels": _core.isa(), **result}
    if json:
        print_json(result)
        return
    print(f"{path.name}, {result['kernels']} kernels, {result['threads']} threads, medians of {reps}")
    print(f"  loaded in        {result['load_s']:8.2f} s")
    print(f"  prefill {prompt:<8} {result['prefill_tok_s']:8.1f} tokens/s")
    together = f", {sequences} sequences together" if sequences > 1 else ""
    print(f"  decode  {new:<8} {result['decode_tok_s']:8.1f} tokens/s{together}")
