"""A model whose file is cut short under a running engine answers with an error, not with SIGBUS."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from oxillama.errors import ModelFormatError
from oxillama.models import load_model
from tests.support.tiny_models import tiny_model

if TYPE_CHECKING:
    from pathlib import Path


def test_a_step_notices_that_its_file_was_cut(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "m.gguf")
    runner = load_model(path, n_threads=1, n_ctx=64).runner
    seq = runner.seq_open()
    one = (np.array([1], np.int32), [seq], [1], np.ones(1, np.bool_))
    assert np.isfinite(runner.step(*one)).all()

    os.truncate(path, 4096)

    with pytest.raises(ModelFormatError, match=r"m\.gguf: the file was cut from \d+ to 4096 bytes while it was open"):
        runner.step(*one)
    assert runner.seq_len(seq) == 1
