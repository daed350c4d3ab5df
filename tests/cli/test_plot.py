"""Plots of bench and info: their content, and the checks before long work begins."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from oxillama.cli.commands.bench.command import curves, numbers, usual
from oxillama.cli.commands.bench.measure import Point, star
from oxillama.cli.shared.plot import check_plot, save, types_figure
from oxillama.gguf import GGUFFile
from tests.support.cli import environment, oxillama
from tests.support.tiny_models import TinyModel

PNG = b"\x89PNG\r\n\x1a\n"
QUICK = ("--prompt", "4", "--new", "2", "--reps", "1")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Matplotlib would read the file's name as a formula."""
    made = TinyModel(n_layer=3, n_embd=64, n_ff=64)
    made.types["blk.1.ffn_up.weight"] = "Q8_0"
    return made.write(tmp_path_factory.mktemp("model") / "$x_y$.gguf")


def texts(svg: Path) -> str:
    """The texts of an SVG. Matplotlib draws text as outlines and repeats it in comments."""
    return " ".join(re.findall(r"<!-- (.*?) -->", svg.read_text(encoding="utf-8")))


def test_each_list_varies_on_its_own() -> None:
    assert star([2, 1], [1, 4], [0]) == [Point(2, 1, 0), Point(1, 1, 0), Point(2, 4, 0)]
    assert star([None], [1], [0]) == [Point()]


def test_a_curve_has_the_results_in_which_only_one_axis_varies() -> None:
    results = [{"threads": t, "sequences": s, "depth": 0} for t, s in [(2, 1), (1, 1), (2, 4)]]

    assert curves(results) == {"threads": results[:2], "sequences": [results[0], results[2]]}


def test_the_default_axes_fit_the_context() -> None:
    assert usual(1500)["depth"] == [0, 512, 1024]
    assert usual(100)["depth"] == [0]


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (lambda: check_plot(Path("no/x.png"), None), "there is no folder no"),
        (lambda: numbers("--threads", "1,x", 1, 8), "--threads: '1,x' is not a number"),
        (lambda: numbers("--depth", "-1", 0, 8), "--depth: -1 is not between 0 and 8"),
        (lambda: numbers("--sequences", "", 1, 8), "--sequences: '' is not a number"),
    ],
    ids=["folder", "no number", "out of range", "empty"],
)
def test_an_invalid_value_is_a_usage_error(
    check: Callable[[], object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        check()

    assert ended.value.exit_code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(("text", "made"), [(None, None), ("4", [4]), ("1, 2,1", [1, 2])])
def test_an_option_takes_one_or_more_numbers(text: str | None, made: list[int] | None) -> None:
    assert numbers("--threads", text, 1, 8) == made


def test_bench_measures_each_of_several_values(model: Path) -> None:
    done = oxillama(
        "bench", "--model", model, *QUICK, "--threads", "1", "--sequences", "1,3", "--depth", "0,5", "--json"
    )

    points = json.loads(done.stdout)["points"]
    assert [(p["threads"], p["sequences"], p["depth"]) for p in points] == [(1, 1, 0), (1, 3, 0), (1, 1, 5)]
    assert all(p["decode_tok_s"] > 0 and p["prefill_tok_s"] > 0 for p in points)


def test_bench_plots_the_axes_that_vary(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "speed.svg"

    done = oxillama("bench", "--model", model, *QUICK, "--threads", "1", "--sequences", "1,2", "--plot", file)

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 4
    assert ET.parse(file).getroot().tag.endswith("svg")
    said = texts(file)
    assert "sequences decoded together" in said
    assert "decode, tokens/s" in said
    assert "tokens already in the context" not in said
    assert [p.name for p in tmp_path.iterdir()] == ["speed.svg"]


def test_info_draws_the_types_of_all_layers(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "types.svg"

    done = oxillama("info", "--model", model, "--plot", file)

    assert done.returncode == 0, done.stderr
    assert b"architecture" in done.stdout
    said = texts(file)
    for part in ("ffn_up", "attn_q", "token_embd", "layer", "Q8_0: 8.5 bits per weight", "F32: 32 bits per weight"):
        assert part in said


def test_a_png_is_one(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "types.PNG"

    save(types_figure(GGUFFile(model), "a title"), file)

    assert file.read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info", "--plot", "x.jpg"], b"x.jpg: the name must end in .png or .svg"),
        (
            ["bench", "--plot", "x.png", "--prompt", "8", "--threads", "1", "--sequences", "1", "--depth", "0"],
            b"nothing varies",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_invalid_options_are_a_usage_error(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: bytes
) -> None:
    if b"nothing" in words:
        pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)

    done = oxillama(*arguments, "--model", model)

    assert done.returncode == 2
    assert done.stdout == b""
    assert words in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_without_matplotlib_the_error_says_how_to_install_it(model: Path, tmp_path: Path) -> None:
    script = (
        "import sys, importlib.util; real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'matplotlib' else real(name, *a)\n"
        "from oxillama.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "info", "--model", model, "--plot", tmp_path / "x.png"],
        capture_output=True,
        env=environment(),
    )

    assert done.returncode == 1
    assert done.stderr == b'oxillama: --plot needs matplotlib: pip install "oxillama[plot]"\n'
