"""Vectors of every model that embeds against another engine's: each pooling, on every isa, alone and in a batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from oxillama.core._core import available_isas
from oxillama.errors import InvalidParameterError
from oxillama.gguf import GGUFFile
from oxillama.models import LoadedModel, describe_model, load_model
from tests.support.isas import run_on
from tests.support.oracles import embedded, make_oracle, nmse

NAMES = [
    "bert",
    "bert-classify",
    "bert-rerank",
    "gemma-embedding",
    "gemma-embedding-dense",
    "llama-bidirectional",
    "modern-bert",
    "modern-bert-rerank",
    "modern-bert-rerank-cls",
    "modern-bert-silu",
    "nomic-bert",
    "qwen3-embed",
    "qwen3-rerank",
]
BOUND = 1e-6
Float32 = npt.NDArray[np.float32]


def vectors(model: LoadedModel, texts: list[npt.NDArray[np.int32]]) -> Float32:
    """What one step gives for whole texts: a row for each text, or for each token without pooling."""
    counts = [len(text) for text in texts]
    ends = np.cumsum(counts)
    kind = model.hparams.pooling.rows
    flags = np.full(int(ends[-1]), kind == "none")
    flags[ends - counts if kind == "cls" else ends - 1] = True
    seqs = [model.runner.seq_open() for _ in texts]
    model.runner.step(np.concatenate(texts), seqs, counts, flags)
    for seq in seqs:
        model.runner.seq_close(seq)
    return model.hparams.pooling.finished(model.runner.embeddings())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoders")
    for name in NAMES:
        make_oracle(name, folder / f"{name}.gguf")
    return folder


def check(folder: Path, name: str) -> None:
    texts, expected = embedded(name)
    for kind, want in expected.items():
        model = load_model(folder / f"{name}.gguf", n_threads=2, n_ctx=256, kv_pages=16, pooling=kind)
        got = vectors(model, texts)
        assert nmse(got, want) <= BOUND, (name, kind)
        alone = np.concatenate([vectors(model, [text]) for text in reversed(texts)][::-1])
        assert np.array_equal(alone, got), (name, kind)
        model.close()


@pytest.mark.parametrize("name", NAMES)
def test_every_pooling_equals_the_oracle_alone_and_in_a_batch(files: Path, name: str) -> None:
    check(files, name)


CHECK = """
import sys
from pathlib import Path
from oxillama.core._core import isa
from tests.models.test_embedding_oracles import check
assert isa() == sys.argv[1], isa()
for name in sys.argv[3:]:
    check(Path(sys.argv[2]), name)
"""


@pytest.mark.slow
@pytest.mark.parametrize("isa", available_isas())
def test_every_isa_gives_the_oracle_vectors(isa: str, files: Path) -> None:
    run_on(isa, CHECK, files, *NAMES)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("bert", "cls"), ("nomic-bert", "mean"), ("qwen3-embed", "last"), ("bert-rerank", "rank"), ("smollm3-real", None)],
)
def test_the_file_says_how_a_text_becomes_a_vector(tmp_path: Path, name: str, kind: str | None) -> None:
    model = load_model(make_oracle(name, tmp_path / "model.gguf"), n_threads=1, n_ctx=64)
    assert model.hparams.pooling.kind == kind


def test_scores_need_a_head_and_positions_a_row(tmp_path: Path) -> None:
    path = make_oracle("bert", tmp_path / "bert.gguf")
    with pytest.raises(InvalidParameterError, match="needs a classification head, and the model has none"):
        load_model(path, n_threads=1, pooling="rank")
    with pytest.raises(InvalidParameterError, match="positions for 512 tokens, not for a context of 513"):
        load_model(path, n_threads=1, n_ctx=513)
    with pytest.raises(InvalidParameterError, match="'max' is not one of none, mean, cls, last, rank"):
        load_model(path, n_threads=1, pooling="max")


def test_a_decoder_gives_logits_beside_the_mean_of_its_rows(tmp_path: Path) -> None:
    """Generation is not disturbed by the pooling that the model was opened with."""
    path = make_oracle("qwen3", tmp_path / "qwen3.gguf")
    tokens = np.arange(20, dtype=np.int32)
    found = []
    for pooling in (None, "mean", "last"):
        model = load_model(path, n_threads=2, n_ctx=64, pooling=pooling)
        logits = model.runner.step(tokens, [model.runner.seq_open()], [20], tokens == 19)
        found.append(logits.copy())
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_layers_that_see_both_ways_share_one_layer_of_the_cache(tmp_path: Path) -> None:
    gguf = GGUFFile(make_oracle("bert", tmp_path / "bert.gguf"))
    assert describe_model(gguf).kv_bytes_per_token["f32"] == 2 * 128 * 4
