"""The inputs that a step accepts, the state after errors, and the lifetime of results."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.core._core import CACHE_TYPES, Runner, quick_cache_type
from oxillama.errors import GenerationError, InvalidParameterError, KVCacheFullError, StepCancelledError
from oxillama.gguf import GGUFFile
from oxillama.models import load_model
from oxillama.models.describe import build_graph
from oxillama.models.memory import bytes_per_token, sequence_memory
from tests.support.blocks import gaussian_matrix
from tests.support.oracles import nmse
from tests.support.tiny_models import TinyModel, tiny_model

MIXTURE = {"n_expert": 4, "n_expert_used": 2}
BLOCKS_OF_256: dict[str, Any] = {"n_embd": 256, "n_ff": 256, "head_dim": 64}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("runner") / "m.gguf")


@pytest.fixture
def runner(path: str | Path) -> Any:
    return load_model(path, n_threads=2, n_batch=64, kv_pages=16).runner


def step(runner: Runner, tokens: Any, seq: Any = None, outputs: bool = True) -> Any:
    """The logits of all tokens, copied: the next step overwrites the runner's own."""
    seq = runner.seq_open() if seq is None else seq
    return runner.step(np.asarray(tokens, np.int32), [seq], [len(tokens)], np.full(len(tokens), outputs)).copy()


@pytest.mark.parametrize(
    ("tokens", "counts", "flags", "complaint"),
    [
        ([128], [1], 1, "token 128 is not in the vocabulary of 128"),
        ([-1], [1], 1, "token -1 is not in the vocabulary"),
        ([1, 2], [1], 2, "the counts add up to 1, and there are 2 tokens"),
        ([1], [0], 1, "gets 0 tokens"),
        ([1], [-1], 1, "gets -1 tokens"),
        ([], [1], 0, "1 to 64 tokens, not 0"),
        ([1] * 65, [65], 65, "1 to 64 tokens, not 65"),
        ([1, 2], [2], 1, "2 tokens, but 1 output flags"),
        ([1, 2], [1, 1], 2, "1 sequences, but 2 counts"),
    ],
)
def test_an_invalid_step_is_refused_and_changes_nothing(
    runner: Runner, tokens: Any, counts: Any, flags: Any, complaint: str
) -> None:
    seq = runner.seq_open()
    free = runner.free_pages
    with pytest.raises(InvalidParameterError, match=complaint):
        runner.step(np.array(tokens, np.int32), [seq], counts, np.ones(flags, bool))
    assert (runner.seq_len(seq), runner.free_pages) == (0, free)


def test_a_sequence_may_not_appear_twice(runner: Runner) -> None:
    seq = runner.seq_open()
    with pytest.raises(InvalidParameterError, match="appears twice"):
        runner.step(np.array([1, 2], np.int32), [seq, seq], [1, 1], np.ones(2, bool))
    assert runner.seq_len(seq) == 0


def test_a_step_without_outputs_only_fills_the_cache(runner: Runner) -> None:
    seq = runner.seq_open()
    assert step(runner, [1, 2, 3], seq, outputs=False).shape == (0, 128)
    assert runner.seq_len(seq) == 3
    assert np.array_equal(step(runner, [4], seq)[0], step(runner, [1, 2, 3, 4])[3])


def test_a_truncated_sequence_continues_as_if_the_rest_had_never_existed(runner: Runner) -> None:
    seq = runner.seq_open()
    step(runner, list(range(50)), seq)
    runner.seq_truncate(seq, 33)
    again = step(runner, [99, 98], seq)
    assert np.array_equal(again, step(runner, [*range(33), 99, 98])[-2:])


def test_a_fork_and_its_origin_are_independent(runner: Runner) -> None:
    seq = runner.seq_open()
    step(runner, list(range(40)), seq)
    fork = runner.seq_fork(seq, 37)
    one, two = step(runner, [7], seq), step(runner, [8], fork)
    assert np.array_equal(one[0], step(runner, [*range(40), 7])[-1])
    assert np.array_equal(two[0], step(runner, [*range(37), 8])[-1])


def step_until_cancelled(runner: Runner, seq: Any) -> None:
    for _ in range(50):  # a step may end before the other thread gets its turn
        step(runner, [5] * 512, seq)
        runner.seq_truncate(seq, 3)


def test_cancelling_leaves_the_sequence_as_it_was(path: str | Path) -> None:
    runner = load_model(path, n_threads=2, n_batch=512, kv_pages=64, n_ctx=2048).runner
    seq = runner.seq_open()
    before = step(runner, [1, 2, 3], seq)
    free, done = runner.free_pages, threading.Event()

    def cancel_until_done() -> None:
        while not done.is_set():
            runner.cancel()

    canceller = threading.Thread(target=cancel_until_done)
    canceller.start()
    try:
        with pytest.raises(GenerationError, match="cancelled"):
            step_until_cancelled(runner, seq)
    finally:
        done.set()
        canceller.join()
    assert (runner.seq_len(seq), runner.free_pages) == (3, free)
    runner.cancel()
    with pytest.raises(StepCancelledError):  # the last of the other thread's, or this one
        step(runner, [9], seq)
    assert np.array_equal(step(runner, [1, 2, 3]), before)
    assert np.array_equal(step(runner, [9], seq)[0], step(runner, [1, 2, 3, 9])[3])


def test_a_cancel_before_a_step_ends_only_that_step(runner: Runner) -> None:
    seq = runner.seq_open()
    step(runner, [1, 2], seq)
    free = runner.free_pages
    runner.cancel()
    with pytest.raises(StepCancelledError, match="cancelled"):
        step(runner, [3] * 40, seq)
    assert (runner.seq_len(seq), runner.free_pages) == (2, free)
    assert np.array_equal(step(runner, [3], seq)[0], step(runner, [1, 2, 3])[2])


@pytest.mark.parametrize("kv_type", CACHE_TYPES)
def test_the_longest_possible_context_can_be_given(path: Path, kv_type: str) -> None:
    runner = load_model(path, n_threads=2, n_ctx=2**31 - 1, kv_pages=16, kv_type=kv_type).runner
    assert runner.n_ctx == 2**31 - 1
    usual = load_model(path, n_threads=2, n_ctx=512, kv_pages=16, kv_type=kv_type).runner
    tokens = np.arange(64) % 128
    assert np.array_equal(step(runner, tokens), step(usual, tokens))
    seq = runner.seq_open()
    for more in (2**31 - 1, 2**31 - 32, 15 * 32 + 1):
        with pytest.raises(KVCacheFullError, match="pages"):
            runner.seq_reserve(seq, more)
    assert runner.free_pages == 16 - 2


def test_results_outlive_the_runner_and_cannot_be_written(path: str | Path) -> None:
    runner = load_model(path, n_threads=1).runner
    logits = runner.step(np.array([1, 2], np.int32), [runner.seq_open()], [2], np.ones(2, bool))
    kept = logits.copy()
    runner.close()
    del runner
    gc.collect()
    assert np.array_equal(logits, kept)
    with pytest.raises(ValueError, match="read-only"):
        logits[0, 0] = 1


def test_a_closed_runner_reports_that_it_is_closed(runner: Runner) -> None:
    runner.close()
    with pytest.raises(InvalidParameterError, match="closed"):
        runner.seq_open()
    runner.close()


def test_a_nan_weight_affects_only_its_own_sequences(tmp_path: Path) -> None:
    model = TinyModel()
    model.tensors["token_embd.weight"][5] = np.nan
    runner = load_model(model.write(tmp_path / "nan.gguf"), n_threads=2).runner
    healthy = step(runner, [1, 2, 3])
    one, two = runner.seq_open(), runner.seq_open()
    both = runner.step(np.array([1, 2, 3, 4, 5, 6], np.int32), [one, two], [3, 3], np.ones(6, bool))
    assert np.array_equal(both[:3], healthy)
    assert np.isnan(both[4:]).all()
    # Reused pages keep nothing of their earlier content.
    runner.seq_close(one)
    runner.seq_close(two)
    assert np.array_equal(step(runner, [1, 2, 3]), healthy)


@pytest.mark.parametrize("n_threads", [1, 2, 3, 5])
@pytest.mark.parametrize("options", [{}, MIXTURE], ids=["dense", "mixture"])
def test_the_number_of_threads_changes_no_bit(tmp_path: Path, n_threads: int, options: Any) -> None:
    path = tiny_model(tmp_path / "m.gguf", type_name="Q8_0", n_ff=128, **options)
    tokens = np.arange(70) % 128
    one = load_model(path, n_threads=1).runner
    many = load_model(path, n_threads=n_threads).runner
    assert np.array_equal(step(one, tokens), step(many, tokens))


@pytest.mark.parametrize(
    ("arch", "options"), [("llama", {}), ("llama", MIXTURE), ("qwen2", {}), ("qwen3", {})], ids=lambda v: str(v)[:12]
)
@pytest.mark.parametrize("type_name", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q5_K", "Q6_K"])
def test_a_quantised_model_stays_near_its_dequantised_self(
    tmp_path: Path, arch: str, type_name: str, options: Any
) -> None:
    """The same weights decoded to F32 give the same logits except for the rounding of activations."""
    model = TinyModel(arch, type_name=type_name, **BLOCKS_OF_256, **options)
    quantised = load_model(model.write(tmp_path / "q.gguf"), n_threads=2, kv_type="f32")
    decode = decoder(quantised.gguf)
    for name, array in model.tensors.items():
        model.tensors[name] = decode(name).reshape(array.shape)
    model.types.clear()
    exact = load_model(model.write(tmp_path / "f.gguf"), n_threads=2, kv_type="f32")
    tokens = np.arange(40) * 3 % 128
    error = nmse(step(quantised.runner, tokens), step(exact.runner, tokens))
    assert error < (1e-4 if type_name in ("F16", "BF16") else 3e-3)
    chunked = quantised.runner.seq_open()
    cut = np.concatenate([step(quantised.runner, tokens[at : at + 7], chunked) for at in range(0, 40, 7)])
    assert np.array_equal(cut, step(quantised.runner, tokens))


OTHER_TYPES = [
    *("Q4_1", "Q5_0", "Q5_1", "Q8_1", "Q2_K", "Q3_K", "Q8_K", "IQ4_NL", "IQ4_XS", "MXFP4", "NVFP4", "IQ1_S", "IQ1_M"),
    *("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "TQ1_0", "TQ2_0", "Q1_0", "Q2_0"),
]


@pytest.mark.parametrize("type_name", OTHER_TYPES)
def test_a_model_of_any_type_stays_near_its_dequantised_self(tmp_path: Path, type_name: str) -> None:
    model = TinyModel(type_name=type_name, **BLOCKS_OF_256)
    for i, (name, array) in enumerate(model.tensors.items()):
        if array.ndim == 2:
            rows, columns = array.shape
            model.encoded[name] = gaussian_matrix(type_name, rows, columns, seed=i)
    quantised = load_model(model.write(tmp_path / "q.gguf"), n_threads=2, kv_type="f32")
    decode = decoder(quantised.gguf)
    for name in model.encoded:
        model.tensors[name] = decode(name).reshape(model.tensors[name].shape)
    model.types.clear()
    model.encoded.clear()
    exact = load_model(model.write(tmp_path / "f.gguf"), n_threads=2, kv_type="f32")
    tokens = np.arange(40) * 3 % 128
    assert nmse(step(quantised.runner, tokens), step(exact.runner, tokens)) < 3e-3


MIXED = {"attn_q": "F32", "attn_k": "Q8_0", "attn_v": "Q4_K", "ffn_gate": "Q8_0", "ffn_up": "Q6_K", "ffn_down": "F16"}


@pytest.mark.parametrize("options", [{}, MIXTURE], ids=["dense", "mixture"])
def test_matrices_of_one_op_may_want_different_activations(tmp_path: Path, options: Any) -> None:
    model = TinyModel(**BLOCKS_OF_256, **options)
    exact = step(load_model(model.write(tmp_path / "f.gguf"), n_threads=2).runner, range(40))
    for name in model.tensors:
        role = name.removesuffix(".weight").rpartition(".")[2].removesuffix("_exps")
        model.types[name] = MIXED.get(role, model.types.get(name, "F32"))
    mixed = load_model(model.write(tmp_path / "q.gguf"), n_threads=2, kv_type="f32").runner
    whole, seq = step(mixed, range(40)), mixed.seq_open()
    assert nmse(whole, exact) < 2e-2
    assert np.array_equal(np.concatenate([step(mixed, [t], seq) for t in range(40)]), whole)


def decoder(gguf: GGUFFile) -> Any:
    from oxillama.core._core import dequantize

    def decode(name: str) -> Any:
        info = gguf.tensors[name]
        return dequantize(info.type, gguf.raw(name), info.n_elements)

    return decode


def test_tied_embeddings_serve_as_the_output_matrix(tmp_path: Path) -> None:
    model = TinyModel(tied=True)
    tied = step(load_model(model.write(tmp_path / "tied.gguf"), n_threads=2).runner, [1, 2, 3])
    model.tensors["output.weight"] = model.tensors["token_embd.weight"]
    assert np.array_equal(tied, step(load_model(model.write(tmp_path / "own.gguf"), n_threads=2).runner, [1, 2, 3]))


def test_one_tensor_may_hold_queries_keys_and_values(tmp_path: Path) -> None:
    model = TinyModel()
    apart = step(load_model(model.write(tmp_path / "apart.gguf"), n_threads=2).runner, [1, 2, 3])
    for i in range(2):
        parts = [model.tensors.pop(f"blk.{i}.attn_{name}.weight") for name in "qkv"]
        model.tensors[f"blk.{i}.attn_qkv.weight"] = np.concatenate(parts)
    together = step(load_model(model.write(tmp_path / "together.gguf"), n_threads=2).runner, [1, 2, 3])
    assert np.array_equal(apart, together)


@pytest.mark.parametrize(("kv_type", "most"), [("f16", 1e-5), ("i16", 1e-5), ("q8_0", 1e-3)])
def test_a_smaller_cache_is_nearly_exact(path: str | Path, kv_type: str, most: float) -> None:
    tokens = np.arange(100) % 128
    exact = step(load_model(path, n_threads=2, kv_type="f32").runner, tokens)
    smaller = step(load_model(path, n_threads=2, kv_type=kv_type).runner, tokens)
    assert 0 < nmse(smaller, exact) < most


def test_the_cache_is_f32_for_float_weights_and_the_fast_type_for_others(tmp_path: Path, path: str | Path) -> None:
    quantised = tiny_model(tmp_path / "q.gguf", type_name="Q8_0", n_ff=128)
    assert load_model(path, kv_pages=1).runner.cache_type == "f32"
    assert load_model(quantised, kv_pages=1).runner.cache_type == quick_cache_type()


@pytest.mark.parametrize("kv_type", CACHE_TYPES)
def test_the_cache_uses_the_stated_bytes_per_token(path: str | Path, kv_type: str) -> None:
    model = load_model(path, n_ctx=96, kv_type=kv_type)
    assert model.runner.cache_bytes == 96 * bytes_per_token(sequence_memory(build_graph(model.gguf).graph, kv_type))


@pytest.mark.parametrize("kv_type", CACHE_TYPES)
def test_a_fork_in_the_middle_of_a_page_keeps_the_shared_tokens(path: str | Path, kv_type: str) -> None:
    """A shared page of any type is copied for the first sequence that writes into it."""
    runner = load_model(path, n_threads=2, n_ctx=128, kv_pages=8, kv_type=kv_type).runner
    shared, alone = np.arange(37), runner.seq_open()
    seq = runner.seq_open()
    step(runner, shared, seq)
    fork = runner.seq_fork(seq, 37)
    step(runner, [7, 9, 11], seq)
    want = step(runner, [*shared, 8], alone)[-1]
    assert np.array_equal(step(runner, [8], fork)[-1], want)


def test_loading_reports_its_progress(path: str | Path) -> None:
    shares: list[float] = []
    load_model(path, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize(
    ("option", "value"),
    [("n_threads", 0), ("n_ctx", -1), ("kv_pages", 0), ("n_batch", 0), ("n_seqs", 0), ("kv_type", "q2")],
)
def test_an_option_out_of_range_is_refused_by_name(path: str | Path, option: str, value: Any) -> None:
    with pytest.raises(InvalidParameterError, match=f"Invalid '{option}'"):
        load_model(path, **{option: value})


def test_a_decode_step_passes_few_barriers(path: str | Path) -> None:
    """Six for a layer, and the head's."""
    runner = load_model(path, n_threads=2).runner
    seq = runner.seq_open()
    step(runner, [1], seq)
    before = runner.pool.counts["barriers"]
    step(runner, [1], seq)
    assert runner.pool.counts["barriers"] - before <= 2 * 6 + 4


def test_ops_are_timed_once_that_is_asked_for(runner: Runner) -> None:
    with pytest.raises(InvalidParameterError, match="call clock"):
        runner.clocked()
    runner.clock()
    step(runner, [1, 2, 3])
    times = runner.clocked()

    assert times.shape[0] == runner.n_threads
    assert times.shape[2] == 3
    assert (times >= 0).all()
    assert (times[:, :, 2].sum(1) > 0).all()
    step(runner, [1, 2, 3])
    assert runner.clocked().sum() > times.sum()
    runner.clock()
    assert runner.clocked().sum() == 0


def test_timing_ops_changes_no_bit(path: Path) -> None:
    plain, timed = (load_model(path, n_threads=2, n_batch=64, kv_pages=16).runner for _ in range(2))
    timed.clock()
    np.testing.assert_array_equal(step(plain, [1, 2, 3]), step(timed, [1, 2, 3]))
