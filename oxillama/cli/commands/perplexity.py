"""oxillama perplexity: measures how well a model predicts a text, for example before and after quantising."""

from __future__ import annotations

from oxillama.cli.shared import options
from oxillama.cli.shared.chunked import Chunks, ChunkSize, TextFile, chunks_of


def perplexity(
    file: TextFile,
    model: options.Model = None,
    ctx: ChunkSize = 512,
    chunks: Chunks = None,
    threads: options.Threads = None,
    kv_type: options.KVType = "auto",
    json: options.Json = False,
) -> None:
    """Measure how well a model predicts a text.

    Reads the text in chunks and scores the second half of each: the lower, the better.
    """
    path = options.require_model(model)

    from oxillama.cli.shared.output import print_json
    from oxillama.quant.perplexity import Estimate, measure

    estimate, used = Estimate(), str(kv_type)
    reading = chunks_of(file, path, ctx=ctx, most=chunks, threads=threads, kv_type=kv_type, predicts=True)
    with reading as (runner, pieces):
        used = runner.cache_type
        for estimate in measure(runner, pieces):
            if not json:
                print(f"[{estimate.chunks}/{len(pieces)}] {estimate.perplexity:.4f}", flush=True)
    if json:
        print_json(
            {
                "model": str(path),
                "file": str(file),
                "perplexity": estimate.perplexity,
                "standard_error": estimate.standard_error,
                "tokens": estimate.tokens,
                "chunks": estimate.chunks,
                "ctx": ctx,
                "kv_type": used,
            }
        )
        return
    print(f"perplexity {estimate.perplexity:.4f} +/- {estimate.standard_error:.4f}, {estimate.tokens} tokens")
