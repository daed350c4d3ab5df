"""A damaged or hostile vocabulary is refused in one line that names the key."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oxillama.errors import ModelFormatError
from oxillama.gguf import GGUFWriter
from oxillama.text import Tokenizer
from tests.text.vocabularies import BYTE, bpe_metadata, spm_metadata

GOOD = {"spm": spm_metadata({"▁": -1.0, "a": -2.0}), "bpe": bpe_metadata(("a b",), ("<s>",))}
N = {name: len(metadata["tokenizer.ggml.tokens"]) for name, metadata in GOOD.items()}


def changed(name: str, key: str, value: Any) -> dict[str, Any]:
    metadata = dict(GOOD[name])
    if value is None:
        metadata.pop(f"tokenizer.ggml.{key}", None)
    else:
        metadata[f"tokenizer.ggml.{key}"] = value
    return metadata


def with_token(name: str, index: int, token: str, kind: int | None = None) -> dict[str, Any]:
    metadata = dict(GOOD[name])
    metadata["tokenizer.ggml.tokens"] = [*metadata["tokenizer.ggml.tokens"]]
    metadata["tokenizer.ggml.tokens"][index] = token
    if kind is not None:
        metadata["tokenizer.ggml.token_type"] = metadata["tokenizer.ggml.token_type"].copy()
        metadata["tokenizer.ggml.token_type"][index] = kind
    return metadata


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", None),
        ("model", 7),
        ("tokens", None),
        ("tokens", []),
        ("tokens", "abc"),
        ("tokens", np.arange(9, dtype=np.int32)),
        ("tokens", ["a", 1]),
        ("tokens", [["a"]]),
        ("pre", 3),
        ("token_type", np.zeros(3, np.int32)),
        ("token_type", np.zeros(10**6, np.int32)),
        ("token_type", np.zeros(999, np.float32)),
        ("token_type", ["a"]),
        ("scores", np.zeros(3, np.float32)),
        ("scores", np.zeros(999, np.uint8)),
        ("scores", "high"),
        ("scores", 1.0),
        ("merges", "a b"),
        ("merges", [1]),
        ("add_bos_token", 1),
        ("add_eos_token", "yes"),
        ("add_space_prefix", 0),
        ("remove_extra_whitespaces", "no"),
        ("precompiled_charsmap", "x"),
        *(
            (f"{which}_token_id", value)
            for which in ("bos", "eos", "eot", "eom", "unknown", "seperator", "mask", "fim_pad", "fim_rep")
            for value in (10**6, -2, 2**32 - 2, "1", 1.0, True)
        ),
    ],
)
def test_a_wrong_key_is_named(name: str, key: str, value: Any) -> None:
    with pytest.raises(ModelFormatError, match=rf"^tokenizer\.ggml\.{key}[^\n]*$"):
        Tokenizer(changed(name, key, value))


def test_scores_must_be_numbers() -> None:
    scores = GOOD["spm"]["tokenizer.ggml.scores"].copy()
    scores[5] = np.nan
    with pytest.raises(ModelFormatError, match=r"scores\[5\] is not a number"):
        Tokenizer(changed("spm", "scores", scores))


@pytest.mark.parametrize("token", ["<0x-1>", "<0xGG>", "<0x100>", "<0x>", "0x41", "<0x 1>", "<0x41", "ab"])
def test_a_byte_token_must_spell_a_byte(token: str) -> None:
    with pytest.raises(ModelFormatError, match=r"tokens\[10\] .* <0xHH>"):
        Tokenizer(with_token("spm", 10, token, BYTE))


@pytest.mark.parametrize("name", GOOD)
def test_a_duplicate_token_is_refused(name: str) -> None:
    twice = GOOD[name]["tokenizer.ggml.tokens"][5]
    with pytest.raises(ModelFormatError, match=r"tokens\[5\] .* is there twice \(again at 9\)"):
        Tokenizer(with_token(name, 9, twice))


@pytest.mark.parametrize("name", GOOD)
def test_a_token_of_a_megabyte_is_refused(name: str) -> None:
    with pytest.raises(ModelFormatError, match=r"tokens\[7\] is 1048576 characters long") as refusal:
        Tokenizer(with_token(name, 7, "x" * (1 << 20)))
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("merge", ["ab", "", "a", " ", "a ", " a"])
def test_a_merge_must_be_two_parts(merge: str) -> None:
    with pytest.raises(ModelFormatError, match=r"^tokenizer\.ggml\.merges\[1\] .* two parts"):
        Tokenizer(changed("bpe", "merges", ["a b", merge]))


def test_merges_that_cannot_apply_are_harmless() -> None:
    tokenizer = Tokenizer(changed("bpe", "merges", ["a b", "zz yy", "b c", "a b", "ab ab"]))
    assert [tokenizer.token_text(i) for i in tokenizer.encode("abc")] == ["ab", "c"]


def test_bpe_without_merges_is_refused() -> None:
    with pytest.raises(ModelFormatError, match="merges is missing"):
        Tokenizer(changed("bpe", "merges", None))


@pytest.mark.parametrize("name", GOOD)
def test_tokens_that_are_not_utf8_are_harmless(name: str) -> None:
    tokenizer = Tokenizer(with_token(name, N[name] - 1, "\udcff\udcfe"))
    assert tokenizer.decode(tokenizer.encode("ab")) == b"ab"
    assert tokenizer.token_text(N[name] - 1) == "��"


@pytest.mark.parametrize("name", GOOD)
def test_empty_tokens_get_names(name: str) -> None:
    last = N[name] - 1
    assert Tokenizer(with_token(name, last, "")).token_text(last) == f"[EMPTY_{last}]"


def test_a_padding_id_one_past_the_end_is_ignored() -> None:
    tokenizer = Tokenizer(changed("spm", "padding_token_id", N["spm"]))
    assert "pad_token" not in tokenizer.special_texts


@pytest.mark.parametrize("name", ["bos", "eos", "eot", "eom", "unknown", "padding", "cls", "mask", "fim_pre", "prefix"])
@pytest.mark.parametrize("none", [-1, 2**32 - 1])
def test_minus_one_means_no_such_token(name: str, none: int) -> None:
    tokenizer = Tokenizer(changed("spm", f"{name}_token_id", none))
    if name in ("bos", "eos"):
        assert getattr(tokenizer, f"{name}_id") is None
    assert f"{name}_token" not in tokenizer.special_texts
    assert tokenizer.decode(tokenizer.encode("ab")) == b"ab"


@pytest.mark.parametrize("charsmap", [b"\x01", b"\xff\xff\xff\xff", b"\0\0\0\0" * 9, bytes(range(256))])
def test_a_damaged_charsmap_is_refused(charsmap: bytes) -> None:
    metadata = changed("spm", "model", "t5")
    metadata["tokenizer.ggml.precompiled_charsmap"] = np.frombuffer(charsmap, np.uint8)
    with pytest.raises(ModelFormatError, match=r"^tokenizer\.ggml\.precompiled_charsmap is damaged: [^\n]*$"):
        Tokenizer(metadata)


def test_a_refusal_names_the_file(tmp_path: Any) -> None:
    path = tmp_path / "hostile.gguf"
    with GGUFWriter(path) as writer:
        writer.add("general.architecture", "llama")
        writer.add("tokenizer.ggml.model", "llama")
        writer.add("tokenizer.ggml.tokens", ["a", "a"])
    with pytest.raises(ModelFormatError, match=r"hostile\.gguf: tokenizer\.ggml\.tokens\[0\]"):
        Tokenizer.from_gguf(path)
