"""How far do quantised files diverge from their source? KL divergence of the next token, beside llama-quantize.

    LLAMA_CPP_BIN=…/bin python benchmarks/divergence.py --model model-F16.gguf --text a.txt,b.txt

Both programs quantise one file. Both files are decoded to F32 and run by one engine, in single precision, so that
only the weights differ. The figure is the mean over all positions of KL(source || file), in nats. Positions
of one chunk share its first token, and with it how attention begins, so they are not independent. Standard errors
are therefore those of the chunks' means; for the difference, of paired chunks. Types that llama-quantize refuses to
make without an importance matrix get one on both sides, measured by llama-imatrix on --calibration.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import ours
import peer
import report

sys.path.insert(0, str(report.ROOT))
from oxillama.gguf import GGUFFile
from oxillama.quant.chunks import evaluate, open_for_chunks, read_chunks
from oxillama.text import Tokenizer

TYPES = (
    "Q8_0,Q6_K,Q5_K_M,Q5_K_S,Q5_1,Q5_0,Q4_K_M,Q4_K_S,Q4_1,Q4_0,IQ4_NL,IQ4_XS,MXFP4_MOE,Q3_K_L,Q3_K_M,Q3_K_S,IQ3_M,IQ3_S,"
    "IQ3_XS,IQ3_XXS,Q2_K,Q2_K_S,IQ2_M,IQ2_S,IQ2_XS,IQ2_XXS,IQ1_M,IQ1_S,TQ2_0,TQ1_0"
)
NEED_IMPORTANCE = frozenset(("Q2_K_S", "IQ2_M", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S"))
AT_ONCE = 64  # positions per step; logits of large vocabularies take much memory

Floats = npt.NDArray[np.float32]
Means = npt.NDArray[np.float64]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="a trained model in F32, F16 or BF16")
    parser.add_argument("--types", default=TYPES, help="comma-separated (default: all that both sides make)")
    parser.add_argument("--text", required=True, help="what to predict: comma-separated files")
    parser.add_argument("--chunks", type=int, default=4, help="of each text (default %(default)s)")
    parser.add_argument("--ctx", type=int, default=256, help="tokens of a chunk (default %(default)s)")
    parser.add_argument("--calibration", type=Path, help="what llama-imatrix reads, for types that need importance")
    parser.add_argument("--imatrix", action="store_true", help="importance for every type")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-peer", action="store_true", help="measure our side alone")
    report.add_options(parser)
    return parser.parse_args()


def call(*words: str | Path) -> None:
    done = subprocess.run([*map(str, words)], capture_output=True, env=ours.environment())
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr.decode(errors='replace').strip()[-600:]}")


def quantise(source: Path, out: Path, mix: str, importance: Path | None, threads: int, *, mine: bool) -> None:
    matrix = () if importance is None else ("--imatrix", importance)
    if mine:
        call(sys.executable, "-m", "oxillama", "quantize", source, out, mix, *matrix, "--threads", str(threads))
    else:
        call(peer.program("llama-quantize"), *matrix, source, out, mix, str(threads))


def log_probabilities(logits: Floats) -> Floats:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


class Reference:
    """The source's predictions for all chunks. They are larger than the model, so they are kept on disk."""

    def __init__(self, model: Path, texts: list[Path], args: argparse.Namespace, folder: Path) -> None:
        self.threads, self.ctx = args.threads, args.ctx
        tokenizer = Tokenizer.from_gguf(GGUFFile(model))
        self.chunks = [
            chunk for text in texts for chunk in read_chunks(tokenizer, text.read_text("utf-8"), args.ctx, args.chunks)
        ]
        self.said: np.memmap[Any, np.dtype[np.float32]] | None = None
        plain = folder / "reference.gguf"
        decode(model, plain)
        for i, logits in self._read(plain):
            if self.said is None:
                shape = (len(self.chunks) * args.ctx, logits.shape[1])
                self.said = np.memmap(folder / "reference", np.float32, "w+", shape=shape)
            self.said[i : i + len(logits)] = log_probabilities(logits)
        plain.unlink()

    def _read(self, model: Path) -> Any:
        """(position of the first row, logits) for all chunks, a few rows at a time."""
        loaded, _ = open_for_chunks(model, self.ctx, self.threads, kv_type="f32")
        try:
            at = 0
            for chunk in self.chunks:
                for logits in evaluate(loaded.runner, chunk, np.ones(len(chunk), np.bool_)):
                    for first in range(0, len(logits), AT_ONCE):
                        part = logits[first : first + AT_ONCE]
                        yield at, part
                        at += len(part)
        finally:
            loaded.close()

    def divergence(self, model: Path) -> Means:
        """The mean divergence of each chunk."""
        assert self.said is not None
        found = np.empty(len(self.said))
        for i, logits in self._read(model):
            p = self.said[i : i + len(logits)]
            found[i : i + len(logits)] = np.einsum(
                "ij,ij->i", np.exp(p), p - log_probabilities(logits), dtype=np.float64
            )
        return found.reshape(-1, self.ctx).mean(1)


def decode(model: Path, out: Path) -> None:
    call(sys.executable, "-m", "oxillama", "quantize", model, out, "F32", "--allow-requantize")


def standard_error(means: Means) -> float:
    return float(means.std(ddof=1) / np.sqrt(len(means)))


def measure(
    mix: str, reference: Reference, importance: Path | None, folder: Path, args: argparse.Namespace
) -> dict[str, Any]:
    """One row."""
    made, decoded = folder / "made.gguf", folder / "decoded.gguf"
    means, sizes = [], []
    for mine in (True,) if args.no_peer else (True, False):
        quantise(args.model, made, mix, importance, args.threads, mine=mine)
        decode(made, decoded)
        means.append(reference.divergence(decoded))
        sizes.append(made.stat().st_size)
        made.unlink()
        decoded.unlink()
    here, there = means[0], None if args.no_peer else means[1]
    return {
        "bytes": sizes[0],
        "type": mix + (" (imatrix)" if importance else ""),
        "KL": _figure(here),
        "llama.cpp": None if there is None else _figure(there),
        "ratio": None if there is None or there.mean() < 1e-6 else f"{here.mean() / there.mean():.2f}",
        "difference": None if there is None else _figure(here - there, "+"),
        "MiB": f"{sizes[0] / 2**20:.0f}",
        "llama.cpp ": None if there is None else f"{sizes[1] / 2**20:.0f}",
    }


def _figure(means: Means, sign: str = "") -> str:
    return f"{means.mean():{sign}.4f} ± {standard_error(means):.4f}"


def main() -> None:
    args = arguments()
    texts = [Path(name) for name in args.text.split(",")]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference = Reference(args.model, texts, args, folder)
        matrix: Path | None = None
        if args.calibration:
            matrix = folder / "imatrix.gguf"
            call(
                peer.program("llama-imatrix"), "-m", args.model, "-f", args.calibration, "-o", matrix, "-t",
                str(args.threads), "-c", "512", "--chunks", "10",
            )  # fmt: skip
        for mix in args.types.split(","):
            needs = args.imatrix or mix in NEED_IMPORTANCE
            if needs and matrix is None:
                raise SystemExit(f"{mix} needs an importance matrix: give --calibration TEXT")
            rows.append(measure(mix, reference, matrix if needs else None, folder, args))
            print(rows[-1], file=sys.stderr, flush=True)
    rows.sort(key=lambda row: row.pop("bytes"), reverse=True)
    read = " ".join(text.name for text in texts)
    report.emit(args, rows, model=args.model.name, texts=read, chunks_of_each=args.chunks, context=args.ctx)


if __name__ == "__main__":
    main()
