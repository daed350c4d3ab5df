"""Tiny GGUF models with random weights.

path = tiny_model(tmp_path / "m.gguf")                          # llama, F32, 128 tokens, no tokenizer
path = tiny_model(tmp_path / "m.gguf", vocab="spm")             # with an SPM vocabulary (or "bpe")
path = tiny_model(tmp_path / "m.gguf", "qwen3", type_name="Q8_0", n_embd=256, n_ff=256)

model = TinyModel("llama")                                       # or change it before it is written
model.metadata["llama.block_count"] = 0
del model.tensors["output_norm.weight"]
model.write(path)
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oxillama.gguf import GGUFWriter

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
N_VOCAB = 128  # of a model without a tokenizer
WORDS = ("the", "and", "you", "once", "upon", "time", "little", "girl", "day", "was", "sun", "big", "red", "dog", "cat")


def spm_vocabulary() -> dict[str, Any]:
    """<unk>, <s>, </s>, the bytes, an <|im_end|> that also ends a generation, letters and a few words."""
    # Words are merged from the left, so their prefixes are pieces too.
    words = dict.fromkeys(f"▁{word[:n]}" for word in WORDS for n in range(1, len(word) + 1))
    pieces = ["▁", *(chr(c) for c in range(ord("a"), ord("z") + 1)), *words]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), "<|im_end|>", *pieces]
    types = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256, CONTROL, *[NORMAL] * len(pieces)]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": np.array([0.0] * 260 + [-float(i) for i in range(len(pieces))], np.float32),
        "tokenizer.ggml.token_type": np.array(types, np.int32),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.eot_token_id": 259,
    }


def bpe_vocabulary() -> dict[str, Any]:
    """Byte-level BPE: the bytes, a few merges, and the control tokens of the ChatML dialect."""
    from oxillama.text.tokenizers.pieces import byte_alphabet

    merges = ["t h", "th e", "a n", "an d", "o n", "h e", "l l", "Ġ t"]
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    plain = [*byte_alphabet(), *(merge.replace(" ", "") for merge in merges)]
    plain = list(dict.fromkeys(plain))
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": [*plain, *control],
        "tokenizer.ggml.token_type": np.array([NORMAL] * len(plain) + [CONTROL] * len(control), np.int32),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": len(plain),
        "tokenizer.ggml.eos_token_id": len(plain) + 2,
    }


def _vocabulary(kind: str | None, n_vocab: int) -> dict[str, Any]:
    match kind:
        case None:
            return {"tokenizer.ggml.model": "none"}
        case "spm":
            return spm_vocabulary()
        case "bpe":
            return bpe_vocabulary()
        case _:
            raise ValueError(f"no vocabulary {kind!r}")


class TinyModel:
    """The metadata and tensors of a model, which may be changed before `write`.

    metadata: key → value; a value may be a (value, GGUF type name) pair. tensors: name → array, rows first.
    types: tensor name → GGUF type name, if it is not F32. encoded: tensor name → bytes to write instead of the array.

    vocab: "spm", "bpe" or None. vocabulary: metadata to use instead.
    """

    def __init__(
        self,
        arch: str = "llama",
        *,
        n_layer: int = 2,
        n_embd: int = 64,
        n_head: int = 4,
        n_head_kv: int = 2,
        head_dim: int = 16,
        n_ff: int = 96,
        n_vocab: int = N_VOCAB,
        n_ctx: int = 256,
        n_expert: int = 0,
        n_expert_used: int = 0,
        type_name: str = "F32",
        vocab: str | None = None,
        vocabulary: dict[str, Any] | None = None,
        tied: bool = False,
        chat_template: str | None = None,
        seed: int = 0,
    ) -> None:
        self._rng = np.random.default_rng(seed)
        words = _vocabulary(vocab, n_vocab) if vocabulary is None else vocabulary
        n_vocab = len(words.get("tokenizer.ggml.tokens", range(n_vocab)))
        self.metadata: dict[str, Any] = {
            "general.architecture": arch,
            "general.name": f"tiny {arch}",
            f"{arch}.vocab_size": n_vocab,
            f"{arch}.context_length": n_ctx,
            f"{arch}.embedding_length": n_embd,
            f"{arch}.block_count": n_layer,
            f"{arch}.feed_forward_length": n_ff,
            f"{arch}.attention.head_count": n_head,
            f"{arch}.attention.head_count_kv": n_head_kv,
            f"{arch}.attention.key_length": head_dim,
            f"{arch}.attention.value_length": head_dim,
            f"{arch}.attention.layer_norm_rms_epsilon": 1e-5,
            f"{arch}.rope.dimension_count": head_dim,
            f"{arch}.rope.freq_base": 10000.0,
            **({f"{arch}.expert_count": n_expert, f"{arch}.expert_used_count": n_expert_used} if n_expert else {}),
            **words,
            **({"tokenizer.chat_template": chat_template} if chat_template is not None else {}),
        }
        self.tensors: dict[str, npt.NDArray[np.float32]] = {}
        self.types: dict[str, str] = {}
        self.encoded: dict[str, npt.NDArray[np.uint8]] = {}
        self._type_name = type_name
        q, kv = n_head * head_dim, n_head_kv * head_dim
        self.add_matrix("token_embd", n_vocab, n_embd, spread=1.0)
        for i in range(n_layer):
            p = f"blk.{i}."
            self.add_vector(p + "attn_norm.weight", n_embd)
            for name, rows in (("attn_q", q), ("attn_k", kv), ("attn_v", kv)):
                self.add_matrix(p + name, rows, n_embd)
                if arch == "qwen2":
                    self.add_vector(f"{p}{name}.bias", rows, around=0.0)
            if arch == "qwen3":
                self.add_vector(p + "attn_q_norm.weight", head_dim)
                self.add_vector(p + "attn_k_norm.weight", head_dim)
            self.add_matrix(p + "attn_output", n_embd, q)
            self.add_vector(p + "ffn_norm.weight", n_embd)
            if n_expert:
                self.add_matrix(p + "ffn_gate_inp", n_expert, n_embd, type_name="F32")
                self.add_matrix(p + "ffn_gate_exps", n_expert, n_ff, n_embd)
                self.add_matrix(p + "ffn_up_exps", n_expert, n_ff, n_embd)
                self.add_matrix(p + "ffn_down_exps", n_expert, n_embd, n_ff)
            else:
                self.add_matrix(p + "ffn_gate", n_ff, n_embd)
                self.add_matrix(p + "ffn_up", n_ff, n_embd)
                self.add_matrix(p + "ffn_down", n_embd, n_ff)
        self.add_vector("output_norm.weight", n_embd)
        if not tied:
            self.add_matrix("output", n_vocab, n_embd)

    def add_vector(self, name: str, n: int, *, around: float = 1.0) -> None:
        self.tensors[name] = (around + 0.1 * self._rng.standard_normal(n)).astype(np.float32)

    def add_matrix(self, name: str, *shape: int, spread: float | None = None, type_name: str | None = None) -> None:
        """Add a random matrix. name: without ".weight". shape: rows first, the input dimension last."""
        values = self._rng.standard_normal(shape, dtype=np.float32)
        self.tensors[f"{name}.weight"] = (values * (spread or 1 / np.sqrt(shape[-1]))).astype(np.float32)
        self.types[f"{name}.weight"] = type_name or self._type_name

    def write(self, path: str | os.PathLike[str]) -> Path:
        with GGUFWriter(path) as writer:
            for key, value in self.metadata.items():
                writer.add(key, *(value if isinstance(value, tuple) else (value,)))
            for name, array in self.tensors.items():
                if name in self.encoded:
                    writer.add_tensor_info(name, self.types[name], array.shape[::-1])
                else:
                    writer.add_tensor(name, array, self.types.get(name, "F32"))
            for name, encoded in self.encoded.items():
                writer.write_tensor(name, encoded.tobytes())
        return Path(path)


def tiny_model(path: str | os.PathLike[str], arch: str = "llama", **options: Any) -> Path:
    """Write a TinyModel; options are its keyword arguments."""
    return TinyModel(arch, **options).write(path)
