"""What does a grammar cost, and what does it save? Decode of constrained and free sequences, and a peer's server.

    python benchmarks/constrained.py --threads 2 --sequences 1,8
    LLAMA_CPP_BIN=… python benchmarks/constrained.py --threads 2 --served --shape smollm2-135m --type Q8_0 --vocab FILE

Without --served: a model with random weights and a large vocabulary decodes free text and JSON of a schema in turns.
"speed" is constrained beside free tokens per second, best of --reps each. Strings and numbers are most of that JSON, so
that little is forced; "forced" says how much. "first mask" is a new grammar's compilation with its first mask.

With --served: our server and llama.cpp's answer the same request with the same schema, whose members' names are most of
the answer. "gain" is their time beside ours. "free tok/s" is a text without a schema: a peer that is far below what
decode.py says of it shares its processors with something else, and then nothing here is worth anything. Without --model
both sides get a model of --shape with random weights, whose vocabulary is that of --vocab.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import report
import servers
from make_model import DEFAULT_FOLDER, make
from shapes import SHAPES

from oxillama import Model, SamplingParams
from oxillama.chat.schemas import schema_grammar

RECORD = {
    "type": "object",
    "properties": {"t": {"type": "string"}, "n": {"type": "array", "items": {"type": "number"}}},
    "required": ["t", "n"],
    "additionalProperties": False,
}
LIST: dict[str, Any] = {"type": "array", "items": RECORD, "minItems": 1000}

NAMES = ("contains_personal_information", "requires_immediate_attention", "preferred_language_of_the_customer",
         "estimated_priority_of_the_request", "department_that_should_answer", "sentiment_of_the_message")  # fmt: skip
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "string", "enum": ["unknown", "applicable", "excluded"]} for name in NAMES},
    "required": list(NAMES),
    "additionalProperties": False,
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", choices=SHAPES, default="tinyllama-1.1b")
    parser.add_argument("--type", default="Q4_0")
    parser.add_argument("--vocab", type=Path, help="a GGUF file whose vocabulary the model gets")
    parser.add_argument("--model", type=Path, help="a model to use instead of one with random weights")
    parser.add_argument("--sequences", default="1,8", help="comma-separated (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=48, help="of each sequence (default %(default)s)")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--served", action="store_true", help="compare with llama.cpp's server")
    parser.add_argument("--no-peer", action="store_true", help="measure our server alone")
    report.add_options(parser)
    return parser.parse_args()


def grammar_of(schema: dict[str, Any]) -> str:
    written = schema_grammar(schema)
    return f"start: {written.name}\n{written.rules}"


def decode(model: Model, n: int, tokens: int, constraint: Any, seed: int) -> tuple[float, float]:
    """(tokens per second of n sequences together without their prompts, the share of tokens that were forced)."""
    sampling = [SamplingParams(max_tokens=tokens, seed=seed + i, temperature=1.0, ignore_eos=True) for i in range(n)]
    streams = [model.events([7 + i], one, constraint) for i, one in enumerate(sampling)]
    before = model._stepper.n_forced_tokens
    for stream in streams:
        next(stream)
    began, count = time.perf_counter(), 0
    while streams:
        for stream in tuple(streams):
            if next(stream, None) is None:
                streams.remove(stream)
            else:
                count += 1
    took = time.perf_counter() - began
    return count / took, (model._stepper.n_forced_tokens - before) / max(1, count)


def model_of(args: argparse.Namespace) -> Path:
    path: Path = args.model or args.models / f"{args.shape}-{args.type}-constrained.gguf"
    if not path.exists():
        make(path, SHAPES[args.shape], args.type, vocab=args.vocab)
    return path


def in_place(args: argparse.Namespace) -> list[dict[str, Any]]:
    path = model_of(args)
    rows = []
    counts = [int(n) for n in args.sequences.split(",")]
    with Model(path, n_threads=args.threads, n_ctx=args.tokens + 64, parallel=max(counts)) as model:
        began = time.perf_counter()
        model.compile_grammar('start: "a"')
        vocabulary = time.perf_counter() - began
        first = []
        for i in range(9):
            text = grammar_of({**LIST, "minItems": 500 + i})
            began = time.perf_counter()
            constraint = model.compile_grammar(text)
            first.append(time.perf_counter() - began)
        for n in counts:
            free, bound, forced = [], [], 0.0
            for rep in range(args.reps):
                free.append(decode(model, n, args.tokens, None, rep)[0])
                speed, forced = decode(model, n, args.tokens, constraint, rep)
                bound.append(speed)
            rows.append(
                {
                    "sequences": n,
                    "free tok/s": max(free),
                    "constrained tok/s": max(bound),
                    "speed": max(bound) / max(free),
                    "forced": forced,
                    "first mask ms": 1e3 * statistics.median(first),
                    "vocabulary s": vocabulary,
                }
            )
    return rows


def answer(port: int) -> tuple[float, int, dict[str, Any]]:
    """(seconds, tokens, the answer) of one request."""
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "Classify: my parcel never arrived, and I want my money back!"}],
        "temperature": 0,
        "max_tokens": 400,
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": ANSWER, "strict": True}},
    }
    began = time.perf_counter()
    said = posted(port, "/v1/chat/completions", body)
    took = time.perf_counter() - began
    parsed: dict[str, Any] = json.loads(said["choices"][0]["message"]["content"])
    assert set(parsed) == set(NAMES)
    return took, said["usage"]["completion_tokens"], parsed


def free(port: int) -> float:
    """Tokens per second of a text without a form, its prompt included."""
    body = {"model": "m", "prompt": "Once upon a time", "temperature": 0, "max_tokens": 64, "ignore_eos": True}
    began = time.perf_counter()
    said = posted(port, "/v1/completions", body)
    tokens: int = said["usage"]["completion_tokens"]
    return tokens / (time.perf_counter() - began)


def posted(port: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    said: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return said


def served(args: argparse.Namespace) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    path = model_of(args)
    with tempfile.TemporaryDirectory() as folder:
        sides = ["ours"] if args.no_peer else ["ours", "peer"]
        for side in sides:
            port = servers.free_port()
            options: dict[str, Any] = {"threads": args.threads, "ctx": 2048}
            command = (
                servers.ours(path, port, Path(folder), **options)
                if side == "ours"
                else servers.peers(path, port, **options)
            )
            with servers.running(command, port, Path(folder) / f"{side}.log"):
                answer(port)  # the prompt is cached and the grammar compiled after this
                free(port)
                times = [answer(port) for _ in range(args.reps)]
                speed = max(free(port) for _ in range(args.reps))
            took, tokens, _ = min(times, key=lambda one: one[0])
            rows.append({"side": side, "free tok/s": speed, "seconds": took, "tokens": tokens, "tok/s": tokens / took})
    for row in rows:
        row["gain"] = rows[-1]["seconds"] / row["seconds"]
    return rows


def main() -> None:
    args = arguments()
    rows = served(args) if args.served else in_place(args)
    facts = {"model": args.model.stem if args.model is not None else f"{args.shape} {args.type}"}
    report.emit(args, rows, **facts, threads=args.threads, reps=args.reps)


if __name__ == "__main__":
    main()
