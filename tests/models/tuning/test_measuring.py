"""Ways of reading are compared on packed weights, and change no bit of a model's logits."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from oxillama.core._core import Program, ThreadPool, readings
from oxillama.errors import InvalidParameterError
from oxillama.gguf import GGUFFile
from oxillama.models.load import packed_program
from tests.support.blocks import NUMBERS
from tests.support.isas import isas, run_on
from tests.support.tiny_models import tiny_model


@pytest.fixture
def program(tmp_path: Path) -> tuple[Program, ThreadPool]:
    pool = ThreadPool(2)
    path = tiny_model(tmp_path / "m.gguf", type_name="Q8_0", n_embd=256, n_ff=512)
    return packed_program(GGUFFile(path), 64, pool), pool


def test_all_ways_are_measured_on_the_weights(program: tuple[Program, ThreadPool]) -> None:
    of, pool = program
    for kind, several in product(set(of.matrix_types), (False, True)):
        rates = of.compare_readings(kind, several, 3, pool)

        assert rates.shape == (3, len(readings()))
        assert (rates > 0).all()
        assert np.isfinite(rates).all()


@pytest.mark.parametrize("n_rounds", [0, -1, 1001])
def test_numbers_of_rounds_that_make_no_sense_are_refused(program: tuple[Program, ThreadPool], n_rounds: int) -> None:
    of, pool = program
    with pytest.raises(InvalidParameterError, match=f"{n_rounds} rounds"):
        of.compare_readings(of.matrix_types[0], False, n_rounds, pool)


def test_a_type_that_no_matrix_has_is_refused(program: tuple[Program, ThreadPool]) -> None:
    of, pool = program
    with pytest.raises(InvalidParameterError, match=f"no matrix of tensor type {NUMBERS['IQ1_S']}"):
        of.compare_readings(NUMBERS["IQ1_S"], True, 3, pool)


CHECK = """
import os, sys
import numpy as np
from oxillama.core._core import isa, readings
from oxillama.models import load_model

assert isa() == sys.argv[1]
tokens = np.arange(5, 45, dtype=np.int32)
for path in sys.argv[2:]:
    first = None
    for reading in readings():
        os.environ["OXILLAMA_TUNE"] = reading
        model = load_model(path, n_threads=2, n_ctx=64)
        assert {(t.reading, t.origin) for t in model.tuned} == {(reading, "forced")}
        seq, found, at = model.runner.seq_open(), [], 0
        for n in (1, 2, 3, 4, 5, 6, 7, 8):
            found.append(model.runner.step(tokens[at:at + n], [seq], [n], np.ones(n, bool)).copy())
            at += n
        logits = np.concatenate(found)
        model.close()
        assert np.isfinite(logits).all() and logits.std() > 0
        first = logits if first is None else first
        assert np.array_equal(logits, first), (path, reading)
"""


@pytest.mark.parametrize("name", isas())
def test_no_reading_changes_a_models_logits(name: str, tmp_path: Path) -> None:
    paths = [
        tiny_model(tmp_path / f"{kind}.gguf", type_name=kind, n_embd=256, n_ff=512, head_dim=64, n_vocab=200)
        for kind in ("Q4_0", "Q8_0", "Q4_K", "Q6_K", "IQ2_XS", "BF16")
    ]
    run_on(name, CHECK, *paths)
