"""Do the kernels cost quality? Perplexity of a trained model in each format, beside the same weights decoded to F32.

    python benchmarks/quality.py --model trained-F32.gguf --types Q8_0,Q4_0,Q4_K

The difference between "packed" and "decoded" is what packing and int8 activations cost; the format's own loss is in
both. The text is sampled from the model at temperature 1, unless --text gives one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import ours
import report

# Every type with blocks of 32, which fit any model's rows.
TYPES = "F16,BF16,Q8_0,Q5_1,Q5_0,Q4_1,Q4_0,IQ4_NL,MXFP4"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="a trained model in F32, F16 or BF16")
    parser.add_argument("--types", default=TYPES, help="comma-separated (default %(default)s)")
    parser.add_argument("--text", type=Path, help="what to predict")
    parser.add_argument("--texts", type=int, default=24, help="how many the model writes where --text is not given")
    parser.add_argument("--ctx", type=int, default=256)
    report.add_options(parser)
    return parser.parse_args()


def oxillama(*words: str | Path) -> str:
    command = [sys.executable, "-m", "oxillama", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=ours.environment())
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def written(model: Path, n: int) -> str:
    """`n` texts sampled from the model, each with a different seed."""
    write = ("run", "--model", model, "--prompt", "", "--max-tokens", 400, "--temp", 1, "--threads", 1)
    return "\n".join(oxillama(*map(str, write), "--seed", str(seed)) for seed in range(n))


def perplexity(model: Path, text: Path, ctx: int) -> dict[str, float]:
    result: dict[str, float] = json.loads(
        oxillama("perplexity", "--model", model, "--file", text, "--ctx", str(ctx), "--json")
    )
    return result


def main() -> None:
    args = arguments()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        text, packed, decoded = (Path(folder) / name for name in ("text", "packed.gguf", "decoded.gguf"))
        text.write_text(args.text.read_text() if args.text else written(args.model, args.texts), encoding="utf-8")
        for name in args.types.split(","):
            oxillama("quantize", args.model, packed, name, "--pure")
            oxillama("quantize", packed, decoded, "F32", "--allow-requantize")
            a, b = (perplexity(m, text, args.ctx) for m in (packed, decoded))
            rows.append(
                {
                    "type": name,
                    "packed": f"{a['perplexity']:.4f}",
                    "decoded to F32": f"{b['perplexity']:.4f}",
                    "difference": f"{a['perplexity'] / b['perplexity'] - 1:+.3%}",
                    "standard error": f"{a['standard_error'] / a['perplexity']:.3%}",
                }
            )
            for made in (packed, decoded):
                made.unlink()
    report.emit(args, rows, model=args.model.name, context=args.ctx)


if __name__ == "__main__":
    main()
