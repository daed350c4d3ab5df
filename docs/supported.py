"""Write the table of what runs into README.md, from the code itself: python docs/supported.py [--check]"""

from __future__ import annotations

import re
from pathlib import Path

from tables import main

from oxillama.core._core import packed_bytes, tensor_types
from oxillama.errors import ModelUnsupportedError
from oxillama.models.index import architectures

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "README.md"
FAMILIES = {"__x86_64__": "x86-64", "__aarch64__": "arm64"}


def weight_formats() -> list[str]:
    """The types of which a matrix can be made."""
    names = []
    for number, (name, block, _) in tensor_types().items():
        try:
            packed_bytes(number, 1, block)
        except ModelUnsupportedError:
            continue
        names.append(name)
    return names


def isas() -> dict[str, list[str]]:
    """Isas by processor family, slowest first, as csrc/kernels/isa/dispatch.c lists them."""
    source = (ROOT / "csrc/kernels/isa/dispatch.c").read_text(encoding="utf-8")
    table = re.search(r"built\[\] = \{(.*?)\};", source, re.DOTALL)
    assert table is not None
    found: dict[str, list[str]] = {"every processor": []}
    family = "every processor"
    for line in table[1].splitlines():
        if line.startswith("#"):
            name = next((label for macro, label in FAMILIES.items() if macro in line), "every processor")
            family = name if line.startswith(("#if", "#elif")) else "every processor"
        for name in re.findall(r"&oxi_kernels_(\w+)", line):
            found.setdefault(family, []).append(name.replace("_", "-"))
    return found


def table() -> str:
    """The Markdown table."""
    built = "; ".join(f"{family}: {', '.join(names)}" for family, names in isas().items())
    lines = {
        "Files": "GGUF version 2 and 3, little-endian, in one or several parts",
        "Architectures": ", ".join(f"`{name}`" for name in architectures()),
        "Weight formats": ", ".join(weight_formats()) + ", and every mix of them (Q4_K_M, …)",
        "Instruction sets": built,
        "Systems": "Linux on x86-64; arm64 (tested in an emulator); macOS by design, untested. Python 3.11 and newer",
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in lines.items())])


if __name__ == "__main__":
    main(PAGE, "supported", table())
