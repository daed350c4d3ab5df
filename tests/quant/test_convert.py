"""Quantising whole files: the result, the refusals, and no partial files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.core._core import Quantizer, dequantize
from oxillama.errors import InvalidParameterError, OxillamaError
from oxillama.gguf import GGUFFile, GGUFWriter
from oxillama.quant import convert
from oxillama.quant.convert import Options, Summary, mix_named, plan, type_named
from oxillama.quant.guess import guessed
from oxillama.quant.importance import Importance
from tests.quant.rows import NUMBERS
from tests.support.tiny_models import TinyModel


def wide_model(**changes: Any) -> TinyModel:
    """Every matrix fills blocks of 256."""
    shape = {"n_embd": 256, "n_ff": 256, "n_head": 4, "head_dim": 64, "vocab": "spm", **changes}
    return TinyModel("llama", **shape)


def quantised(
    source: Path, out: Path, mix: str, importance: Importance | None = None, threads: int = 2, **options: Any
) -> Summary:
    file = GGUFFile(source)
    chosen = Options(threads=threads, **options)
    return convert.convert(file, out, plan(file, mix, chosen, importance), chosen, importance)


def test_every_tensor_gets_its_planned_type_and_the_quantisers_bytes(tmp_path: Path) -> None:
    source = wide_model().write(tmp_path / "in.gguf")

    quantised(source, tmp_path / "out.gguf", "Q4_K_M")

    before, after = GGUFFile(source), GGUFFile(tmp_path / "out.gguf")
    types = {name: info.type_name for name, info in after.tensors.items()}
    assert list(types) == list(before.tensors)
    assert types["blk.0.attn_q.weight"] == "Q4_K"
    assert types["output.weight"] == "Q6_K"
    assert types["output_norm.weight"] == "F32"
    for name, info in before.tensors.items():
        values = before.raw(name).view(np.float32)
        columns = guessed(before, name)
        rows = values.reshape(-1, info.shape[0])
        want = Quantizer(NUMBERS[types[name]]).rows(rows, None if columns is None else columns[0])
        np.testing.assert_array_equal(after.raw(name), want, err_msg=name)


def test_metadata_is_kept_and_describes_the_new_file(tmp_path: Path) -> None:
    model = wide_model()
    model.metadata["general.file_type"] = 0
    model.metadata["tests.nested"] = ([[1, 2], [3]], "arr[arr[i32]]")
    source = model.write(tmp_path / "in.gguf")

    quantised(source, tmp_path / "out.gguf", "IQ4_XS")

    before, after = GGUFFile(source), GGUFFile(tmp_path / "out.gguf")
    for key, kind in before.metadata_types.items():
        if key != "general.file_type":
            assert after.metadata_types[key] == kind
            np.testing.assert_equal(after.metadata[key], before.metadata[key])
    assert after.metadata["general.file_type"] == 30
    assert after.metadata["general.quantization_version"] == 2


@pytest.mark.parametrize("threads", [1, 5])
def test_pieces_and_threads_do_not_change_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    source = wide_model().write(tmp_path / "in.gguf")
    quantised(source, tmp_path / "whole.gguf", "Q4_K_M")

    monkeypatch.setattr(convert, "PIECE_WEIGHTS", 7 * 256)
    quantised(source, tmp_path / "pieces.gguf", "Q4_K_M", threads=threads)

    assert (tmp_path / "pieces.gguf").read_bytes() == (tmp_path / "whole.gguf").read_bytes()


def test_a_quantised_model_gives_nearly_the_same_logits(tmp_path: Path) -> None:
    from oxillama import Model

    source = wide_model().write(tmp_path / "in.gguf")
    quantised(source, tmp_path / "out.gguf", "Q8_0")

    with Model(source, n_threads=1) as full, Model(tmp_path / "out.gguf", n_threads=1) as small:
        want, got = full.logits([1, 260, 261, 270]), small.logits([1, 260, 261, 270])
    assert np.corrcoef(want.ravel(), got.ravel())[0, 1] > 0.999


def test_shards_become_one_file(tmp_path: Path) -> None:
    tensors = {f"blk.{i}.ffn_up.weight": np.full((8, 256), i + 1, np.float32) for i in range(3)}
    with GGUFWriter(tmp_path / "in.gguf", shard_bytes=9000) as writer:
        writer.add("general.architecture", "llama")
        for name, values in tensors.items():
            writer.add_tensor(name, values)
    assert len(writer.paths) == 3

    quantised(writer.paths[0], tmp_path / "out.gguf", "Q8_0")

    after = GGUFFile(tmp_path / "out.gguf")
    assert list(after.tensors) == list(tensors)
    assert not [key for key in after.metadata if key.startswith("split.")]
    assert dequantize(8, after.raw("blk.2.ffn_up.weight"), 2048)[5] == pytest.approx(3, rel=1e-3)


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_halves_are_read_and_their_vectors_become_f32(tmp_path: Path, kind: str) -> None:
    values = np.random.default_rng(1).standard_normal((4, 256)).astype(np.float32)
    with GGUFWriter(tmp_path / "in.gguf") as writer:
        writer.add("general.architecture", "llama")
        writer.add_tensor("blk.0.ffn_up.weight", values, kind)
        writer.add_tensor("output_norm.weight", values[0], kind)

    quantised(tmp_path / "in.gguf", tmp_path / "out.gguf", "Q4_0")

    before, after = GGUFFile(tmp_path / "in.gguf"), GGUFFile(tmp_path / "out.gguf")
    norm = dequantize(NUMBERS[kind], before.raw("output_norm.weight"), 256)
    np.testing.assert_array_equal(after.raw("output_norm.weight").view(np.float32), norm)
    assert after.tensors["blk.0.ffn_up.weight"].type_name == "Q4_0"


def test_each_expert_is_rounded_by_its_own_importance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    values = rng.standard_normal((3, 5, 256)).astype(np.float32)
    columns = rng.chisquare(1, (3, 256)).astype(np.float32)
    with GGUFWriter(tmp_path / "in.gguf") as writer:
        writer.add("general.architecture", "llama")
        writer.add_tensor("blk.0.ffn_up_exps.weight", values)
    importance = Importance("x.imatrix", {"blk.0.ffn_up_exps.weight": columns}, ["text.txt"], 7)
    monkeypatch.setattr(convert, "PIECE_WEIGHTS", 2 * 256)  # pieces of two rows, of which five is not a multiple

    quantised(tmp_path / "in.gguf", tmp_path / "out.gguf", "Q4_K_S", importance, pure=True)

    want = [Quantizer(NUMBERS["Q4_K"]).rows(values[e], columns[e]) for e in range(3)]
    after = GGUFFile(tmp_path / "out.gguf")
    np.testing.assert_array_equal(after.raw("blk.0.ffn_up_exps.weight"), np.concatenate(want))
    assert after.metadata["quantize.imatrix.dataset"] == "text.txt"
    assert after.metadata["quantize.imatrix.chunks_count"] == 7


def test_importance_of_another_model_is_refused(tmp_path: Path) -> None:
    source = wide_model().write(tmp_path / "in.gguf")
    other = Importance("x.imatrix", {"blk.0.attn_q.weight": np.ones((1, 512), np.float32)})

    with pytest.raises(InvalidParameterError, match=r"x.imatrix: 'blk.0.attn_q.weight' .* belongs to another model"):
        quantised(source, tmp_path / "out.gguf", "Q4_K_M", other)


def test_options_override_the_mix(tmp_path: Path) -> None:
    file = GGUFFile(wide_model().write(tmp_path / "in.gguf"))

    def types(**options: Any) -> dict[str, str]:
        return plan(file, "Q4_K_M", Options(threads=1, **options)).types

    assert set(types(pure=True).values()) == {"F32", "Q4_K"}
    assert types(output="Q8_0")["output.weight"] == "Q8_0"
    assert types(embedding="F16")["token_embd.weight"] == "F16"
    assert types(pure=True, output="Q8_0", embedding="Q6_K")["blk.1.ffn_down.weight"] == "Q4_K"


def test_the_embedding_of_a_tied_model_is_its_output_matrix(tmp_path: Path) -> None:
    file = GGUFFile(wide_model(tied=True).write(tmp_path / "in.gguf"))

    assert plan(file, "Q4_K_M", Options(threads=1, output="Q8_0")).types["token_embd.weight"] == "Q8_0"
    assert plan(file, "Q4_K_M", Options(threads=1, embedding="Q5_K")).types["token_embd.weight"] == "Q5_K"


def test_tensors_that_do_not_fill_blocks_or_lack_importance_get_a_warning(tmp_path: Path) -> None:
    file = GGUFFile(TinyModel("llama").write(tmp_path / "in.gguf"))

    assert any("fill Q4_K's blocks become Q5_0" in w for w in plan(file, "Q4_K_M", Options(threads=1)).warnings)
    wide = GGUFFile(wide_model().write(tmp_path / "wide.gguf"))
    assert any("add --imatrix FILE" in w for w in plan(wide, "IQ2_XXS", Options(threads=1)).warnings)
    assert plan(wide, "Q4_K_M", Options(threads=1)).warnings == []


def test_rounding_twice_needs_to_be_allowed(tmp_path: Path) -> None:
    source = wide_model().write(tmp_path / "in.gguf")
    quantised(source, tmp_path / "q8.gguf", "Q8_0")

    with pytest.raises(InvalidParameterError, match=r"is Q8_0 already.*--allow-requantize"):
        quantised(tmp_path / "q8.gguf", tmp_path / "q4.gguf", "Q4_K_M")
    quantised(tmp_path / "q8.gguf", tmp_path / "q4.gguf", "Q4_K_M", requantize=True)
    quantised(tmp_path / "q8.gguf", tmp_path / "again.gguf", "Q8_0")

    assert GGUFFile(tmp_path / "q4.gguf").tensors["blk.0.attn_q.weight"].type_name == "Q4_K"
    first, again = GGUFFile(tmp_path / "q8.gguf"), GGUFFile(tmp_path / "again.gguf")
    for name in first.tensors:
        np.testing.assert_array_equal(first.raw(name), again.raw(name))


def test_a_weight_that_cannot_be_represented_names_its_tensor_and_leaves_no_file(tmp_path: Path) -> None:
    model = wide_model()
    model.tensors["blk.1.ffn_up.weight"][200, 9] = np.nan
    source = model.write(tmp_path / "in.gguf")
    (tmp_path / "out.gguf").write_bytes(b"from before")

    with pytest.raises(
        InvalidParameterError, match=r"'blk.1.ffn_up.weight'.*columns 0 to 255 of row 200 is not finite"
    ):
        quantised(source, tmp_path / "out.gguf", "Q4_K_M")

    assert (tmp_path / "out.gguf").read_bytes() == b"from before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.gguf", "out.gguf"]


def test_progress_never_decreases_and_ends_at_all_bytes(tmp_path: Path) -> None:
    file = GGUFFile(wide_model().write(tmp_path / "in.gguf"))
    options, seen = Options(threads=2), [0]

    summary = convert.convert(file, tmp_path / "out.gguf", plan(file, "Q4_0", options), options, None, seen.append)

    assert seen == sorted(seen)
    assert seen[-1] == summary.bytes_before == sum(info.n_bytes for info in file.tensors.values())


def resident(path: Path) -> int:
    """Bytes of a mapped file that are in this process's memory."""
    found, counts = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if not line.split(" ", 1)[0].endswith(":"):  # the head of a mapping
            counts = line.endswith(str(path))
        elif counts and line.startswith("Rss:"):
            found += int(line.split()[1]) * 1024
    return found


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux")
def test_a_tensor_leaves_the_memory_when_it_is_written(tmp_path: Path) -> None:
    source, one = tmp_path / "in.gguf", 1024 * 1024 * 2
    with GGUFWriter(source) as writer:
        writer.add("general.architecture", "llama")
        for i in range(8):
            writer.add_tensor(f"blk.{i}.attn_q.weight", np.ones((1024, 1024), np.float16))
    file, held = GGUFFile(source), []

    options = Options(threads=1)
    convert.convert(
        file,
        tmp_path / "out.gguf",
        plan(file, "Q8_0", options),
        options,
        progress=lambda _: held.append(resident(source)),
    )

    assert 0 < max(held) < 4 * one  # the system maps pages of the next one ahead
    assert held[-1] < one


def test_bits_per_weight_are_of_all_tensors(tmp_path: Path) -> None:
    with GGUFWriter(tmp_path / "in.gguf") as writer:
        writer.add("general.architecture", "llama")
        writer.add_tensor("blk.0.ffn_up.weight", np.ones((16, 256), np.float32))

    assert quantised(tmp_path / "in.gguf", tmp_path / "out.gguf", "Q8_0").bits_per_weight == 8.5


@pytest.mark.parametrize(("name", "mix"), [("q4_k_m", "Q4_K_M"), ("Q4_K", "Q4_K_M"), ("f16", "F16")])
def test_names_are_read_as_people_write_them(name: str, mix: str) -> None:
    assert mix_named(name) == mix


def test_unknown_names_list_those_that_exist() -> None:
    with pytest.raises(OxillamaError, match=r"'Q9' .*IQ4_XS.*Q4_K_M"):
        mix_named("Q9")
    with pytest.raises(OxillamaError, match=r"'Q8_1' is not a tensor type with a quantiser; there are BF16"):
        type_named("Q8_1")
