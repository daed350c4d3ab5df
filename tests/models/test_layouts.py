"""Architectures that a layout describes: their logits are another engine's, however the sequence is cut up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oxillama.models import load_model
from oxillama.models.families.blocks.rows import LAYOUTS
from tests.models.test_oracles import BOUND, CHECK, among_others, evaluate, evaluate_at
from tests.support.isas import isas, run_on
from tests.support.oracles import columns, expected, expected_long, has_long, make_oracle, nmse, oracles_of


@pytest.mark.parametrize("architecture", LAYOUTS)
def test_logits_equal_the_oracle(architecture: str, tmp_path: Path) -> None:
    """The hardest oracle of each; the slow run has all of them."""
    name = oracles_of(architecture)[0]
    model = load_model(
        make_oracle(name, tmp_path / "m.gguf"), n_threads=2, n_ctx=512 if has_long(name) else 128, kv_pages=64
    )
    tokens, logits = expected(name)
    whole = evaluate(model, tokens, 48)
    assert nmse(whole[:, columns(name)], logits) <= BOUND
    assert np.array_equal(whole, evaluate(model, tokens, 7))
    assert np.array_equal(whole, among_others(model, tokens))
    if has_long(name):
        tokens, positions, logits = expected_long(name)
        assert nmse(evaluate_at(model, tokens, positions, 100)[:, columns(name)], logits) <= BOUND
    model.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Every oracle of the layouts, and their names."""
    folder = tmp_path_factory.mktemp("oracles")
    names = [name for architecture in LAYOUTS for name in oracles_of(architecture)]
    for name in names:
        make_oracle(name, folder / f"{name}.gguf")
    return folder, names


@pytest.mark.slow
@pytest.mark.parametrize("isa", isas())
def test_every_isa_gives_the_logits_of_every_oracle(isa: str, files: tuple[Path, list[str]]) -> None:
    folder, names = files
    run_on(isa, CHECK, folder, *names)


def test_every_layout_has_an_oracle() -> None:
    assert [name for name in LAYOUTS if not oracles_of(name)] == []
