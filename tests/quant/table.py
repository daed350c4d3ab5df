"""python -m tests.quant.table: prints the table of docs/quantize.md, our errors and the recorded ones of llama.cpp."""

from __future__ import annotations

from tests.quant.recorded import RECORDED
from tests.quant.rows import KINDS, importance, ours, rows


def main() -> None:
    print(f"| type | error, normal rows | of llama.cpp's: {' | '.join((*KINDS, *(f'{k}, weighted' for k in KINDS)))} |")
    print("|---" * (2 + 2 * len(KINDS)) + "|")
    for name, (plain, weighted) in RECORDED.items():
        found = [ours(name, rows(kind)) for kind in KINDS] + [ours(name, rows(kind), importance()) for kind in KINDS]
        ratios = (f"{got / want:.3f}" for got, want in zip(found, plain + weighted, strict=True))
        print(f"| {name} | {found[0]:.4f} | {' | '.join(ratios)} |")


if __name__ == "__main__":
    main()
