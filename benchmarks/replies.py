"""What reading a reply costs for each token: python benchmarks/replies.py [--tokens N]

The parser runs in the compute thread once for each token. For every family: tokens of ordinary text, of reasoning and
of a call's arguments; then texts that are made to be hard.
"""

from __future__ import annotations

import argparse
import time

from oxillama.chat.conversation import ToolCall
from oxillama.chat.formats.detect.rules import FAMILIES
from oxillama.chat.formats.wire import Family, WireFormat
from oxillama.chat.tools import Tool

TEXT = b"The quick brown fox jumps over the lazy dog, and then it rests. "
PIECES = [TEXT[at : at + 4] for at in range(0, len(TEXT), 4)]
MARK = "zorbwyk"
HARD = {
    "openers": '<tool_call>\n{"name": "f", "arguments": {"a": "',
    "brackets": "[{[{",
    "newlines": "\n\n\n\n",
    "halves of markers": "<tool_cal",
}


def microseconds(family: Family, beginning: str, pieces: list[bytes], n: int, tail: str = "") -> float:
    """For each of n tokens after the beginning; the best of three runs."""
    wire = WireFormat(family, None)
    tokens = (pieces * (n // len(pieces) + 1))[:n]
    best = float("inf")
    for _ in range(3):
        parser = wire.parser([Tool(name="f", parameters={"type": "object"})], prompt_tail=tail)
        parser.push(0, beginning.encode())
        start = time.perf_counter()
        for piece in tokens:
            parser.push(0, piece)
        best = min(best, time.perf_counter() - start)
    return best / n * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=5000)
    n = parser.parse_args().tokens
    print(f"{'family':20} {'text':>6} {'thinking':>9} {'arguments':>10}  (microseconds a token)")
    for family in FAMILIES.values():
        tags, answer = family.reasoning[:1], family.answer[0].open if family.answer else ""
        call = WireFormat(family, None).write([ToolCall(id="a00000000", name="f", arguments=f'{{"a": "{MARK}"}}')]).text
        text = microseconds(family, f"{answer}So", PIECES, n)
        thinking = microseconds(family, f"{tags[0].open}\nSo", PIECES, n) if tags else float("nan")
        arguments = microseconds(family, call[: call.index(MARK)], PIECES, n)
        print(f"{family.name:20} {text:6.2f} {thinking:9.2f} {arguments:10.2f}")
    for name, hard in HARD.items():
        data = hard.encode()
        pieces = [data[at : at + 4] for at in range(0, len(data), 4)]
        print(f"{name:20} {microseconds(FAMILIES['Qwen3'], 'So', pieces, n):6.2f}")


if __name__ == "__main__":
    main()
