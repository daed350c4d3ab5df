"""The structure of csrc/: includes point down and form no cycle, file names are unique, headers state their use."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.modules import cycles

CSRC = Path(__file__).resolve().parents[1] / "csrc"
if not CSRC.is_dir():
    pytest.skip("needs the sources in csrc/", allow_module_level=True)

INTERFACE = "the C API"
LAYERS: dict[str, set[str]] = {
    INTERFACE: set(),  # oxillama.h and oxillama_ops.h
    "platform": {INTERFACE},
    "gguf": {INTERFACE, "platform"},
    "quant": {INTERFACE},
    "text": {INTERFACE},
    "sample": {INTERFACE, "kernels", "kernels/vec"},
    "kv": {INTERFACE, "platform"},
    "kernels/pack": {INTERFACE, "quant"},
    "kernels": {INTERFACE, "kernels/pack"},  # kernels.h, the table
    "kernels/gemm": {INTERFACE, "quant", "kernels", "kernels/pack"},
    "kernels/vec": {INTERFACE},
    "kernels/attention": {INTERFACE, "kv", "kernels/vec"},
}
LAYERS["kernels/isa"] = {INTERFACE, *(layer for layer in LAYERS if layer.startswith(("kernels", "quant")))}
LAYERS["graph"] = {INTERFACE, "platform", "kv", "kernels", "kernels/vec", "kernels/attention"}
LAYERS["fuzz"] = {INTERFACE, "gguf"}
"""The layers that files of each layer may include beside their own. A layer is a folder with everything below it."""

MOST_FILES = 12
"""Of one folder, beside subfolders."""


def files() -> list[Path]:
    return sorted(path.relative_to(CSRC) for path in CSRC.rglob("*.[ch]"))


def included(source: str) -> list[str]:
    """The project's own headers that a C source includes."""
    return re.findall(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', source, re.MULTILINE)


def layer(path: Path) -> str:
    """The layer that a file belongs to: the deepest folder above it that is one."""
    folders = [str(folder) for folder in path.parents]
    return next((folder for folder in folders if folder in LAYERS), INTERFACE if folders == ["."] else folders[0])


def edges() -> set[tuple[str, str]]:
    return {(str(path), target) for path in files() for target in included((CSRC / path).read_text(encoding="utf-8"))}


def drawn(found: set[tuple[str, str]]) -> str:
    return "\n".join(f"{source} -> {target}" for source, target in sorted(found))


def test_includes_are_paths_from_csrc() -> None:
    """Headers are named in one way only, so that a search finds them."""
    assert drawn({(source, target) for source, target in edges() if not (CSRC / target).is_file()}) == ""


def test_no_file_includes_one_of_a_layer_above_it() -> None:
    upward = set()
    for source, target in edges():
        above, below = layer(Path(source)), layer(Path(target))
        if above != below and below not in LAYERS[above]:
            upward.add((source, target))
    assert drawn(upward) == ""


def test_every_folder_is_in_a_layer() -> None:
    assert {layer(path) for path in files()} == set(LAYERS)


def test_files_form_no_cycle() -> None:
    """A .c file and its header count as one: a cycle through another file is a cycle."""

    def unit(path: str) -> str:
        return str(Path(path).with_suffix(""))

    units = {(unit(source), unit(target)) for source, target in edges()}
    circles = cycles({(source, target) for source, target in units if source != target})
    assert circles == []


def test_a_name_is_found_in_one_place() -> None:
    """Two files must not have the same name, except a .c file and its own header."""
    counts = Counter(stem for _, stem in {(path.parent, path.stem) for path in files()})
    assert [stem for stem, n in counts.items() if n > 1] == []


def test_a_header_is_guarded_or_called_a_body() -> None:
    """A body file depends on earlier definitions and is compiled again in every file that includes it."""
    wrong = []
    for path in files():
        if path.suffix == ".h":
            guarded = re.search(r"^#ifndef OXI\w*_H\n#define OXI\w*_H\n", (CSRC / path).read_text(), re.MULTILINE)
            if (guarded is None) != path.stem.endswith("_body"):
                wrong.append(str(path))
    assert wrong == []


def test_no_folder_is_crowded() -> None:
    counts = Counter(str(path.parent) for path in files())
    assert {folder: n for folder, n in counts.items() if n > MOST_FILES} == {}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('#include "a/b.h"', ["a/b.h"]),
        ("#include <stdio.h>", []),
        ('#if X\n#  include "a.h" /* why */\n#endif\n#include "b.h"', ["a.h", "b.h"]),
        ('/* #include "a.h" */', []),
    ],
)
def test_every_include_counts(source: str, expected: list[str]) -> None:
    assert included(source) == expected
