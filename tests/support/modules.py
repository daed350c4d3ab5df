"""The package's modules and their imports, read from the source without importing anything."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "oxillama"

Edge = tuple[str, str]
"""(importing module, imported module)"""


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Every module below `package`, by its dotted name."""
    found = {}
    for file in sorted(package.rglob("*.py")):
        parts = [package.name, *file.relative_to(package).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    for file in package.rglob("*.pyx"):
        found[".".join([package.name, *file.relative_to(package).with_suffix("").parts])] = file
    return found


def imports(module: str, source: str, known: Iterable[str], *, is_package: bool = False) -> Iterator[str]:
    """The known modules that `module` imports anywhere: at the top, inside functions and under TYPE_CHECKING.

    Importing a name from a package counts as an import of the package, or of the submodule if the name is one. Parent
    packages that Python imports on the way do not count: the importing code does not use them.
    """
    names = frozenset(known)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".") if is_package else module.split(".")[:-1]
                parents = parents[: len(parents) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            for alias in node.names:
                name = f"{base}.{alias.name}"
                if name in names:
                    yield name
                elif base in names:
                    yield base


def import_edges(package: Path = PACKAGE) -> set[Edge]:
    """All imports between the package's own modules."""
    found = modules(package)
    edges = set()
    for module, file in found.items():
        if file.suffix == ".pyx":  # not Python, and a leaf: its includes import only oxillama.errors
            continue
        source = file.read_text(encoding="utf-8")
        for target in imports(module, source, found, is_package=file.name == "__init__.py"):
            if target != module:
                edges.add((module, target))
    return edges


def cycles(edges: Iterable[Edge]) -> list[list[str]]:
    """The groups of modules that import each other (Tarjan's strongly connected components of two or more)."""
    graph: dict[str, list[str]] = {}
    for source, target in edges:
        graph.setdefault(source, []).append(target)
        graph.setdefault(target, [])
    return [sorted(group) for group in _components(graph) if len(group) > 1]


def _components(graph: Mapping[str, list[str]]) -> Iterator[list[str]]:
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(node: str) -> Iterator[list[str]]:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph[node]:
            if target not in index:
                yield from visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            at = stack.index(node)
            yield stack[at:]
            del stack[at:]

    for node in sorted(graph):
        if node not in index:
            yield from visit(node)
