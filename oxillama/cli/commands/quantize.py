"""oxillama quantize: writes a model file in fewer bits per weight."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oxillama.cli.shared import options


def quantize(
    source: Annotated[
        Path, typer.Argument(parser=options.given_path, metavar="IN", help="The model, in one file or in shards.")
    ],
    target: Annotated[Path, typer.Argument(parser=options.given_path, metavar="OUT", help="The file to write.")],
    type: Annotated[str, typer.Argument(metavar="TYPE", help="A type or a mix: Q4_K_M, Q8_0, IQ4_XS, …")],  # noqa: A002  (as the help names it)
    imatrix: Annotated[
        Path | None,
        typer.Option(
            parser=options.given_path,
            metavar="FILE",
            help="An importance matrix, from oxillama imatrix or llama.cpp.",
        ),
    ] = None,
    threads: options.Threads = None,
    output_tensor_type: Annotated[str | None, typer.Option(metavar="T", help="The output matrix's type.")] = None,
    token_embedding_type: Annotated[str | None, typer.Option(metavar="T", help="The token embedding's type.")] = None,
    pure: Annotated[bool, typer.Option("--pure", help="The same type for every matrix, no mix.")] = False,
    allow_requantize: Annotated[
        bool, typer.Option("--allow-requantize", help="Accept a model that is already quantised, at a loss of quality.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start over instead of continuing an interrupted run.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Write a model in fewer bits.

    OUT appears when it is complete. To continue an interrupted run, run the command again.
    """
    import sys
    import time

    from oxillama.cli.shared.guard import naming, one_line, usage_error
    from oxillama.cli.shared.output import check_output
    from oxillama.cli.shared.terminal.progress import bytes_progress
    from oxillama.errors import InvalidParameterError
    from oxillama.gguf import GGUFFile
    from oxillama.machine import usable_processors
    from oxillama.quant import convert
    from oxillama.quant.importance import read_importance

    check_output("OUT", target, source, imatrix)
    try:
        mix = convert.mix_named(type)
        output, embedding = (
            None if name is None else convert.type_named(name) for name in (output_tensor_type, token_embedding_type)
        )
    except InvalidParameterError as error:
        usage_error(str(error))
    chosen = convert.Options(
        threads=threads or usable_processors(),
        pure=pure,
        output=output,
        embedding=embedding,
        requantize=allow_requantize,
        restart=restart,
    )
    file = GGUFFile(source)
    importance = read_importance(imatrix) if imatrix else None
    plan = convert.plan(file, mix, chosen, importance)
    for warning in plan.warnings:
        print(f"oxillama: warning: {one_line(warning)}", file=sys.stderr)

    def notice(line: str) -> None:
        print(f"oxillama: {one_line(line)}", file=sys.stderr, flush=True)

    start = time.perf_counter()
    total = sum(info.n_bytes for info in file.tensors.values())
    with bytes_progress(f"quantising {one_line(source.name)}", total) as progress, naming(target):
        done = convert.convert(file, target, plan, chosen, importance, progress, notice)
    seconds = time.perf_counter() - start
    if json:
        from oxillama.cli.shared.output import print_json

        print_json(
            {
                "file": str(target),
                "type": mix,
                "bytes": target.stat().st_size,
                "tensor_bytes": done.bytes_after,
                "source_tensor_bytes": done.bytes_before,
                "bits_per_weight": done.bits_per_weight,
                "tensor_types": done.types,
                "seconds": seconds,
            }
        )
        return
    before = 8 * done.bytes_before / done.weights
    print(f"{one_line(source.name)}: {done.bytes_before / 2**20:,.1f} MiB, {before:.2f} bits per weight")
    after = f"{done.bytes_after / 2**20:,.1f} MiB, {done.bits_per_weight:.2f} bits per weight"
    print(f"{one_line(target.name)}: {mix}, {after}, in {seconds:.1f} s")
