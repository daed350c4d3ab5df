"""The package's structure: imports between layers point down, modules form no cycle, folders and files stay small."""

from __future__ import annotations

import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

from oxillama.models.index import FAMILIES
from tests.support.modules import Edge, cycles, import_edges, imports, modules

ROOT = Path(__file__).resolve().parents[1]

BASE = {"errors", "version"}
LAYERS: dict[str, set[str]] = {
    "version": set(),
    "errors": set(),
    "moved": set(),  # old names of modules, as texts
    "concurrency": BASE,
    "kept": set(),
    "machine": {"errors"},  # the system's figures for processors and memory
    "demonstration": BASE,  # the path of the demonstration model; its training is `embedded`
    "core": BASE,
    "user_files": set(),
    "system": set(),  # the disk; it imports nothing of oxillama, so that lower layers may use it too
    "gguf": BASE | {"core", "system"},
    "text": BASE | {"core", "gguf"},
    "models": BASE | {"machine", "user_files", "core", "gguf", "text"},  # describing a model checks its vocabulary
    "quant": BASE | {"core", "gguf", "text", "models"},
    "engine": BASE | {"concurrency", "kept", "demonstration", "core", "gguf", "text", "models"},
    "chat": BASE | {"concurrency", "kept", "text", "engine"},
    "storage": BASE | {"concurrency", "system"},
    "files": BASE | {"concurrency", "storage"},
    "vector_stores": BASE | {"concurrency", "storage", "files", "engine"},
    "assistants": BASE | {"concurrency", "storage", "engine", "chat", "vector_stores"},
    "server": BASE
    | {"concurrency", "demonstration", "machine", "user_files", "storage", "engine", "chat", "files", "assistants"}
    | {"vector_stores"},
    "transfer": BASE | {"storage", "files", "vector_stores", "assistants", "server"},
}
LAYERS["facade"] = {"moved", "gguf", "text", "models", "engine", "chat", *BASE}
"""The layers that each layer may import. Layers not listed (cli, training of embedded) may import all below them."""

SPECIAL = {
    "oxillama": "facade",
    "oxillama._moved": "moved",
    "oxillama._version": "version",
    "oxillama.errors": "errors",
    "oxillama.embedded": "demonstration",
    "oxillama.storage.system": "system",
}

ENGINE_PUBLIC = ("oxillama.engine.api", "oxillama.engine.requests", "oxillama.engine.engine", "oxillama.engine.model",
                 "oxillama.engine.pool")  # fmt: skip
"""The parts of the engine that layers above may import."""

MOST_FILES = 12
MOST_LINES = 400
SOURCES = (".py", ".pyi", ".pyx", ".pxi", ".pxd", ".c", ".h", ".js", ".css", ".html")
"""Whether a file is a source file that people write and read. Data, texts, pictures and vendored code are not."""


def layer(module: str) -> str:
    """The layer of a module: its package directly below `oxillama`, with a few exceptions."""
    if module in SPECIAL:
        return SPECIAL[module]
    return module.split(".")[1]


def is_upward(edge: Edge) -> bool:
    source, target = map(layer, edge)
    if source == target:
        return False
    if source in LAYERS:
        return target not in LAYERS[source]
    return target in ("cli", "embedded") and source != "__main__"


def all_edges() -> set[Edge]:
    """The imports in the source, and the index of families' imports by name."""
    families = {f"oxillama.models.families.{place.partition(':')[0]}" for place in FAMILIES.values()}
    return import_edges() | {("oxillama.models.index", family) for family in families}


def drawn(edges: set[Edge]) -> str:
    return "\n".join(f"{source} -> {target}" for source, target in sorted(edges))


def source_files(*folders: str) -> list[Path]:
    found = []
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*")):
            generated = file.name == "_core.c"
            if file.suffix in SOURCES and not generated and "vendor" not in file.parts:
                found.append(file)
    return found


def test_no_layer_imports_one_above_it() -> None:
    upward = {edge for edge in all_edges() if is_upward(edge)}
    assert drawn(upward) == ""


def test_the_engine_is_imported_only_through_its_public_modules() -> None:
    inner = {
        (source, target)
        for source, target in all_edges()
        if layer(target) == "engine"
        and layer(source) not in ("engine", "facade")
        and not target.startswith(ENGINE_PUBLIC)
    }
    assert drawn(inner) == ""


def test_modules_form_no_cycle() -> None:
    edges = all_edges()
    circles = [drawn({(a, b) for a, b in edges if {a, b} <= set(group)}) for group in cycles(edges)]
    assert "\n\n".join(circles) == ""


def test_one_module_unwraps_groups_and_starts_threads_for_calls() -> None:
    """Unwrapping by hand loses the error's cause or a cancellation."""
    by_hand = re.compile(r"\bBaseExceptionGroup\b|\bExceptionGroup\b|except\*|trio\.to_thread|trio\.from_thread")
    found = {name for name, file in modules().items() if by_hand.search(file.read_text(encoding="utf-8"))}
    assert found - {"oxillama.concurrency"} == set()


def test_folders_form_no_cycle() -> None:
    """Two folders of a layer whose modules need each other are one folder, whatever their names say."""

    def place(module: str) -> str:
        return ".".join(module.split(".")[:3])

    edges = {(a, b) for a, b in all_edges() if place(a) != place(b)}
    circles = [
        drawn({(a, b) for a, b in edges if {place(a), place(b)} <= set(group)})
        for group in cycles((place(a), place(b)) for a, b in edges)
    ]
    assert "\n\n".join(circles) == ""


def test_no_folder_of_the_package_is_crowded() -> None:
    counts = Counter(str(file.parent.relative_to(ROOT)) for file in source_files("oxillama"))
    assert {folder: n for folder, n in counts.items() if n > MOST_FILES} == {}


def test_no_source_file_is_long() -> None:
    data = ROOT / "oxillama/embedded/data"
    long = {
        str(file.relative_to(ROOT)): n
        for file in source_files("csrc", "oxillama", "tests", "benchmarks", "docs")
        if data not in file.parents and (n := file.read_text(encoding="utf-8").count("\n")) > MOST_LINES
    }
    assert long == {}


def test_every_layer_is_known() -> None:
    found = {layer(module) for module in modules()}
    assert found - set(LAYERS) == {"__main__", "cli", "embedded"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import oxillama.a", ["oxillama.a"]),
        ("from oxillama import a, nothing", ["oxillama.a", "oxillama"]),
        ("from oxillama.a import name", ["oxillama.a"]),
        ("def f():\n    from oxillama.a import name", ["oxillama.a"]),
        ("if TYPE_CHECKING:\n    from oxillama.a import name", ["oxillama.a"]),
        ("from . import a", ["oxillama.a"]),
        ("from .b import c", ["oxillama.b.c"]),
        ("import trio, oxillama_other", []),
    ],
)
def test_every_kind_of_import_counts(source: str, expected: list[str]) -> None:
    known = ["oxillama", "oxillama.a", "oxillama.b", "oxillama.b.c"]
    assert list(imports("oxillama.x", source, known)) == expected


def test_a_cycle_is_found() -> None:
    edges = {("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "a")}
    assert cycles(edges) == [["a", "b", "c"]]


def test_the_index_names_modules_that_exist() -> None:
    for place in FAMILIES.values():
        module, _, cls = place.partition(":")
        assert hasattr(import_module(f"oxillama.models.families.{module}"), cls)
