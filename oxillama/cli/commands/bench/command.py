"""oxillama bench: tokens per second of one model on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Annotated, Any

import typer

from oxillama.cli.shared import options
from oxillama.cli.shared.guard import one_line, usage_error
from oxillama.cli.shared.plot import Plot, check_plot

AXES = ("threads", "depth", "sequences")
MOST_TOKENS = 10_000_000


def bench(
    model: options.Model = None,
    threads: Annotated[
        str | None,
        typer.Option("--threads", "-t", metavar="N[,N…]", show_default="all it may use", help="Threads that compute."),
    ] = None,
    processors: options.CpuAffinity = None,
    prompt: Annotated[
        int, typer.Option("--prompt", "-p", metavar="N", min=1, max=MOST_TOKENS, help="Tokens in a prefill.")
    ] = 512,
    new: Annotated[
        int, typer.Option("--new", "-n", metavar="N", min=1, max=MOST_TOKENS, help="Tokens to decode.")
    ] = 48,
    depth: Annotated[
        str | None, typer.Option(metavar="N[,N…]", show_default="0", help="Tokens already in the context.")
    ] = None,
    sequences: Annotated[
        str | None, typer.Option(metavar="N[,N…]", show_default="1", help="Sequences to decode together.")
    ] = None,
    reps: Annotated[
        int, typer.Option("--reps", "-r", metavar="N", min=1, max=10_000, help="Number of runs; the medians are shown.")
    ] = 5,
    ctx_size: options.CtxSize = None,
    kv_type: options.KVType = "auto",
    plot: Plot = None,
    json: options.Json = False,
) -> None:
    """Measure how fast a model runs here.

    Tokens per second in prefill and in decode, where all sequences count together; sampling is not part of it. Of
    several values of an option each is measured, with the others at their first values.
    """
    given = {
        "threads": numbers("--threads", threads, 1, 1024),
        "sequences": numbers("--sequences", sequences, 1, 1024),
        "depth": numbers("--depth", depth, 0, MOST_TOKENS),
    }
    check_plot(plot, model)
    path = options.model_or_embedded(model, "bench")

    from oxillama.cli.commands.bench.measure import measure, star
    from oxillama.cli.shared.output import print_json
    from oxillama.cli.shared.terminal.progress import load_progress, steps_progress
    from oxillama.core import _core
    from oxillama.gguf import GGUFFile
    from oxillama.models import describe_model

    room = (ctx_size or describe_model(GGUFFile(path)).context_length) - max(prompt, new)
    check_depth(max(given["depth"] or [0]), prompt, new, room)
    if plot is not None and all(len(values or ()) < 2 for values in given.values()):
        given = {axis: values or usual(room)[axis] for axis, values in given.items()}
        if all(len(values or ()) < 2 for values in given.values()):
            usage_error("--plot: nothing varies; give --threads, --sequences or --depth several values, such as 1,2,4")
    points = star(given["threads"] or [None], given["sequences"] or [1], given["depth"] or [0])
    with ExitStack() as shown:
        if len(points) > 1:
            advance, progress = shown.enter_context(steps_progress("measuring", len(points))), None
        else:
            advance, progress = None, shown.enter_context(load_progress(path))
        results = measure(
            path,
            points,
            processors=processors,
            prompt=prompt,
            new=new,
            reps=reps,
            kv_type=kv_type,
            progress=progress,
            advance=advance,
        )
    facts = {"model": str(path), "kernels": _core.isa()}
    if plot is not None:
        from oxillama.cli.shared import plot as plots

        title = f"{path.name}, {facts['kernels']} kernels: prefill of {prompt} tokens, decode of {new}"
        plots.save(plots.bench_figure(title, curves(results)), plot)
    if json:
        print_json({**facts, **results[0]} if len(results) == 1 else {**facts, "points": results})
        return
    if len(results) == 1:
        print_one(one_line(path.name), facts["kernels"], results[0])
    else:
        print_table(one_line(path.name), facts["kernels"], results)


def numbers(option: str, text: str | None, least: int, most: int) -> list[int] | None:
    """The values of an option that takes one or more numbers; None if it is not given."""
    if text is None:
        return None
    try:
        values = [int(word) for word in text.split(",")]
    except ValueError:
        usage_error(f"{option}: {text!r} is not a number or a list such as 1,2,4")
    for value in values:
        if not least <= value <= most:
            usage_error(f"{option}: {value} is not between {least} and {most}")
    return list(dict.fromkeys(values))


def check_depth(depth: int, prompt: int, new: int, room: int) -> None:
    """End the command if the context cannot hold what is measured. room: its tokens without the measured ones."""
    if depth <= room:
        return
    measured = f"--prompt {prompt}" if prompt >= new else f"--new {new}"
    what = f"--depth {depth} and {measured} need" if depth else f"{measured} needs"
    usage_error(
        f"{what} {depth + max(prompt, new):,} tokens, and the context has {room + max(prompt, new):,}: "
        f"measure fewer, or extend it with --ctx-size"
    )


def usual(room: int) -> dict[str, list[int]]:
    """The default values of a plot's axes. The first of each also applies to the other curves. room: context tokens."""
    from oxillama.machine import usable_processors

    cores = usable_processors()
    powers = [2**k for k in range(cores.bit_length()) if 2**k < cores]
    return {
        "threads": [cores, *powers],
        "sequences": [1, 2, 4, 8],
        "depth": [0, *(d for d in (512, 1024, 2048, 4096) if d <= room)],
    }


def curves(results: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Axis → the results in which only that axis varies."""
    base = results[0]
    found = {axis: [r for r in results if all(r[a] == base[a] for a in AXES if a != axis)] for axis in AXES}
    return {axis: of_axis for axis, of_axis in found.items() if len(of_axis) > 1}


def print_one(name: str, kernels: str, result: Mapping[str, Any]) -> None:
    print(f"{name}, {kernels} kernels, {result['threads']} threads, medians of {result['reps']}")
    print(f"  KV cache         {result['kv_type']:>8}   {result['kv_bytes_per_token'] / 1024:.1f} KiB for a token")
    for choice in result["reading"]:
        how = f"{choice['tokens']:>3} tokens read as {choice['reading']} ({choice['origin']})"
        print(f"  weights          {choice['weights']:>8}   {how}")
    print(f"  loaded in        {result['load_s']:8.2f} s")
    print(f"  prefill {result['prompt']:<8} {result['prefill_tok_s']:8.1f} tokens/s")
    sequences = result["sequences"]
    together = f", {sequences} sequences together" if sequences > 1 else ""
    print(f"  decode  {result['new']:<8} {result['decode_tok_s']:8.1f} tokens/s{together}")


def print_table(name: str, kernels: str, results: Sequence[Mapping[str, Any]]) -> None:
    first = results[0]
    print(f"{name}, {kernels} kernels, tokens/s, medians of {first['reps']}")
    heads = (*AXES, f"prefill {first['prompt']}", f"decode {first['new']}")
    print("  ".join(f"{head:>12}" for head in heads))
    for r in results:
        speeds = (f"{r['prefill_tok_s']:.1f}", f"{r['decode_tok_s']:.1f}")
        print("  ".join(f"{cell:>12}" for cell in (*(r[axis] for axis in AXES), *speeds)))
