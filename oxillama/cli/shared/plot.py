"""Plots of measurements and of tensor types. Only this module imports matplotlib, and only for a plot."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oxillama.cli.shared.guard import naming, one_line, usage_error
from oxillama.cli.shared.options import given_path
from oxillama.cli.shared.output import check_output
from oxillama.errors import OxillamaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from oxillama.gguf import GGUFFile

Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        parser=given_path,
        metavar="FILE",
        show_default=False,
        help="Also draw a plot into FILE.png or FILE.svg.",
    ),
]
SUFFIXES = (".png", ".svg")

_INK, _FAINT, _LINE = "#1f2430", "#d5d9e0", "#2563a8"
# Quantised types get colours along this ramp, in the order of their bits per weight. Floating-point types are grey.
_RAMP = ("#7a1f5c", "#b5325f", "#dd5a4b", "#f0933a", "#e8c547", "#8fbf5a", "#3f9d7a", "#2c7fa8", "#4356a5")
_FLOATS = {"BF16": "#aab2bf", "F16": "#aab2bf", "F32": "#d9dde3"}


def check_plot(path: Path | None, model: Path | None) -> None:
    """End the command now, before long work, if no plot of `model` can be written there.

    Raises OxillamaError without matplotlib.
    """
    if path is None:
        return
    if path.suffix.lower() not in SUFFIXES:
        usage_error(f"--plot {path}: the name must end in {' or '.join(SUFFIXES)}")
    check_output("--plot", path, model)
    if importlib.util.find_spec("matplotlib") is None:
        raise OxillamaError('--plot needs matplotlib: pip install "oxillama[plot]"')


def save(figure: Figure, path: Path) -> None:
    """Write the figure atomically. Raises OSError."""
    temporary = path.with_name(f".{path.name}.tmp")
    with naming(path):
        try:
            metadata: dict[str, Any] = {"Date": None} if path.suffix.lower() == ".svg" else {}
            figure.savefig(temporary, format=path.suffix.lower()[1:], dpi=150, metadata=metadata)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def bench_figure(title: str, axes: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """A figure of tokens per second. axes: what varies ("threads", "sequences", "depth") → its measurements."""
    labels = {"threads": "threads", "sequences": "sequences decoded together", "depth": "tokens already in the context"}
    rows = ["prefill", "decode"] if set(axes) != {"sequences"} else ["decode"]  # prefill has one sequence
    figure = _figure(title, 1.2 + 3.6 * len(axes), 1.2 + 2.5 * len(rows))
    grid = figure.subplots(len(rows), len(axes), squeeze=False)
    for column, (axis, results) in enumerate(axes.items()):
        ordered = sorted(results, key=lambda r: r[axis])
        for row, kind in enumerate(rows):
            ax = grid[row][column]
            if kind == "prefill" and axis == "sequences":
                ax.set_axis_off()
                continue
            _curve(ax, [r[axis] for r in ordered], [r[f"{kind}_runs"] for r in ordered], logarithmic=axis != "depth")
            ax.set_xlabel(labels[axis])
            ax.set_ylabel(f"{kind}, tokens/s")
    return figure


def types_figure(file: GGUFFile, title: str) -> Figure:
    """A figure of all tensors' types: one column per layer, one row per kind of tensor, and the other tensors apart."""
    inside: dict[str, dict[int, str]] = {}
    outside: dict[str, str] = {}
    size: dict[str, list[int]] = {}
    for name, info in file.tensors.items():
        size.setdefault(info.type_name, [0, 0])
        size[info.type_name][0] += info.n_bytes
        size[info.type_name][1] += info.n_elements
        found = re.fullmatch(r"blk\.(\d+)\.(.+?)(\.weight)?", name)
        if found:
            inside.setdefault(found[2], {})[int(found[1])] = info.type_name
        else:
            outside[name.removesuffix(".weight")] = info.type_name
    kinds = sorted(size, key=lambda kind: size[kind][0] / size[kind][1])
    colours = _colours(kinds)
    n_layers = 1 + max((layer for row in inside.values() for layer in row), default=0)
    height = 1.6 + 0.24 * max(len(inside), len(outside), len(kinds))
    figure = _figure(title, 5.6 + min(9.0, 0.24 * n_layers), height)
    left, right = figure.subplots(1, 2, width_ratios=[1, max(4, n_layers)])
    n_rows = max(len(inside), len(outside), 1)
    _cells(left, {name: {0: kind} for name, kind in outside.items()}, (n_rows, 1), colours)
    left.set_xticks([])
    left.set_xlabel("outside")
    _cells(right, inside, (n_rows, n_layers), colours)
    right.set_xlabel("layer")
    total = sum(n_bytes for n_bytes, _ in size.values())
    _legend(right, [(colours[k], _share(k, size[k], total)) for k in reversed(kinds)])
    return figure


def _share(kind: str, size: Sequence[int], total: int) -> str:
    """A line of the legend. size: bytes and elements of all tensors of this type. total: bytes of all tensors."""
    percent = 100 * size[0] / total
    return f"{kind}: {8 * size[0] / size[1]:.4g} bits per weight, {percent:.1f}% of bytes"


def _colours(kinds: Sequence[str]) -> dict[str, str]:
    quantised = [kind for kind in kinds if kind not in _FLOATS]
    step = (len(_RAMP) - 1) / max(1, len(quantised) - 1)
    ramp = {kind: _RAMP[round(i * step)] for i, kind in enumerate(quantised)}
    return {kind: _FLOATS.get(kind) or ramp[kind] for kind in kinds}


def _figure(title: str, width: float, height: float) -> Figure:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "oxillama"}):
        figure = Figure((width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(_plain(title), fontsize=11, color=_INK, x=0.01, ha="left")
    return figure


def _plain(text: str) -> str:
    """A name from a file as plain text: matplotlib would read text between dollar signs as a formula."""
    return one_line(text).replace("$", r"\$")


def _curve(ax: Axes, xs: Sequence[int], runs: Sequence[Sequence[float]], *, logarithmic: bool) -> None:
    """Draw medians as a line with their values, and single runs as faint dots."""
    from statistics import median

    ys = [median(r) for r in runs]
    if logarithmic and len(xs) > 1:
        ax.set_xscale("log", base=2)
    for x, single in zip(xs, runs, strict=True):
        ax.plot([x] * len(single), single, "o", color=_LINE, alpha=0.25, markersize=3, markeredgewidth=0)
    ax.plot(xs, ys, "-o", color=_LINE, linewidth=1.6, markersize=4)
    for x, y in zip(xs, ys, strict=True):
        ax.annotate(
            f"{y:,.0f}" if y >= 1000 else f"{y:.1f}",
            (x, y),
            (0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=_INK,
        )
    ax.set_xticks(xs, [f"{x:,}" for x in xs])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter("{x:,.10g}")
    ax.set_ylim(0, 1.18 * max(max(single) for single in runs))
    ax.margins(x=0.15)
    ax.grid(axis="y", color=_FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8, colors=_INK)


def _cells(ax: Axes, rows: Mapping[str, Mapping[int, str]], grid: tuple[int, int], colours: Mapping[str, str]) -> None:
    """Draw one cell per tensor. rows: label → column → type. grid: the numbers of rows and columns to make room for."""
    from matplotlib.patches import Rectangle

    n_rows, n_columns = grid
    for y, row in enumerate(rows.values()):
        for x, kind in row.items():
            ax.add_patch(Rectangle((x - 0.46, y - 0.42), 0.92, 0.84, facecolor=colours[kind], linewidth=0))
    ax.set_xlim(-0.6, n_columns - 0.4)
    ax.set_ylim(n_rows - 0.4, -0.6)
    ax.set_yticks(range(len(rows)), [_plain(name) for name in rows])
    step = max(1, -(-n_columns // 16))
    ax.set_xticks(range(0, n_columns, step))
    ax.tick_params(length=0, labelsize=8, colors=_INK)
    ax.spines[:].set_visible(False)


def _legend(ax: Axes, entries: Sequence[tuple[str, str]]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=colour, label=text) for colour, text in entries]
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
