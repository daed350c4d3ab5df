"""GGUF models that generate exactly the text a test needs: the next token is a fixed function of the last one.

    path = scripted_model(tmp_path / "m.gguf", {"\\n": "Hello<|turn|> world"}, control=("<|turn|>",))

After a prompt whose last token is a newline (the built-in chat template ends with one), this model generates "Hello",
the control token `<|turn|>`, " world", and `</s>`. The rest of the prompt does not matter. Each token has a probability
near 1, so temperature, seed and penalties change nothing.

A reply given as a string is split into tokens, each used only once; texts of `control` and `user_defined` tokens in it
become those tokens. A reply given as a tuple names its tokens one by one and may form a loop:

    scripted_model(path, {"\\n": ("a", "b", "a")})                    # "ababab…" without end

To change metadata or tensors before the file is written:

    model = ScriptedModel({"\\n": "Hi"}, chat_template=TEMPLATE)
    model.metadata["tokenizer.ggml.add_bos_token"] = False
    model.write(path)
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from oxillama.text.tokenizers.pieces import byte_alphabet
from tests.support.tiny_models import BYTE, CONTROL, NORMAL, UNKNOWN, USER_DEFINED, TinyModel

CERTAIN = 60.0  # the logit of the next token, where all others have 0


class ScriptedModel(TinyModel):
    """A one-layer llama whose output depends only on the last token.

    script: the last token of the prompt → the reply; tokens are named by their visible text. words: further tokens of
    the vocabulary. end: the token after a reply; if it is not `</s>`, it must be in `control`. vocab: `<s>` and `</s>`
    are 1 and 2 in both kinds; "spm" adds `<s>` to prompts, "bpe" (byte-level) adds nothing. options: as for TinyModel,
    such as n_ctx.

    ids: token text → id.
    """

    def __init__(
        self,
        script: Mapping[str, str | Sequence[str]],
        *,
        control: Sequence[str] = (),
        user_defined: Sequence[str] = (),
        words: Iterable[str] = (),
        end: str = "</s>",
        vocab: Literal["spm", "bpe"] = "spm",
        **options: Any,
    ) -> None:
        marks = ["<s>", "</s>", *control, *user_defined]
        used = set(script)
        replies = {
            after: list(_cut(reply, marks, used) if isinstance(reply, str) else reply)
            for after, reply in script.items()
        }
        seen = [text for after, reply in replies.items() for text in (after, *reply)]
        plain = [text for text in dict.fromkeys([*words, *seen]) if text not in marks and len(text.encode()) > 1]
        metadata, self.ids = _vocabulary(vocab, control, user_defined, plain)
        if end != "</s>":
            metadata["tokenizer.ggml.eot_token_id"] = self.ids[end]
        n_vocab = len(metadata["tokenizer.ggml.tokens"])
        super().__init__(n_layer=1, n_embd=-(-n_vocab // 32) * 32, n_ff=32, vocabulary=metadata, **options)
        self._write_table(self._table(replies, self.ids[end]))

    def _table(self, replies: Mapping[str, Sequence[str]], end: int) -> dict[int, int]:
        """Token → next token. After tokens without an entry in `replies`, it is `end`."""
        table: dict[int, int] = {}
        for after, reply in replies.items():
            for text, follower in pairwise([after, *reply]):
                if table.setdefault(self.ids[text], self.ids[follower]) != self.ids[follower]:
                    raise ValueError(f"{text!r} has two followers in the script; one of them is {follower!r}")
        return {token: table.get(token, end) for token in self.ids.values()}

    def _write_table(self, table: Mapping[int, int]) -> None:
        """One-hot embeddings, a layer that adds nothing, and an output matrix that maps a token to the next one."""
        for name, array in self.tensors.items():
            array[:] = 1.0 if "norm" in name else 0.0
        embeddings, output = self.tensors["token_embd.weight"], self.tensors["output.weight"]
        n_vocab, n_embd = embeddings.shape
        embeddings[np.arange(n_vocab), np.arange(n_vocab)] = 1.0
        for token, follower in table.items():
            output[follower, token] = CERTAIN / np.sqrt(n_embd)  # RMSNorm turns the 1 into sqrt(n_embd)


def scripted_model(path: str | os.PathLike[str], script: Mapping[str, str | Sequence[str]], **options: Any) -> Path:
    """Write a ScriptedModel; options are its keyword arguments."""
    return ScriptedModel(script, **options).write(path)


def _cut(reply: str, marks: Sequence[str], used: set[str]) -> Iterator[str]:
    """The texts of a reply's tokens. Adds them to `used`. Raises ValueError if one is already in it."""
    for part in re.split("(" + "|".join(map(re.escape, marks)) + ")", reply):
        pieces = [part] if part in marks else _pieces(part, used)
        for piece in pieces:
            if piece in used:
                raise ValueError(f"the reply {reply!r} needs the token {piece!r} twice; give its tokens as a tuple")
            used.add(piece)
            yield piece


def _pieces(text: str, used: Collection[str]) -> list[str]:
    """Split a text into the shortest pieces of two or more bytes that are all different and not in `used`."""
    pieces: list[str] = []
    start = 0
    for at in range(1, len(text) + 1):
        piece = text[start:at]
        if len(piece.encode()) > 1 and piece not in used and piece not in pieces:
            pieces.append(piece)
            start = at
    if start < len(text):
        pieces.append((pieces.pop() if pieces else "") + text[start:])
    return pieces


def _vocabulary(
    kind: str, control: Sequence[str], user_defined: Sequence[str], words: Sequence[str]
) -> tuple[dict[str, Any], dict[str, int]]:
    """The metadata, and the tokens' ids by their visible text."""
    readable = [chr(b) if b < 128 else f"<0x{b:02X}>" for b in range(256)]
    if kind == "spm":
        bytes_ = [(text, f"<0x{b:02X}>", BYTE) for b, text in enumerate(readable)]
        spelled = [(word, word.replace(" ", "\u2581"), NORMAL) for word in (" ", *words)]
        extra: dict[str, Any] = {"model": "llama", "unknown_token_id": 0}
    else:
        letters = {byte: letter for letter, byte in byte_alphabet().items()}
        bytes_ = [(text, letters[b], NORMAL) for b, text in enumerate(readable)]
        spelled = [(word, "".join(letters[b] for b in word.encode()), NORMAL) for word in words]
        extra = {"model": "gpt2", "pre": "gpt-2", "merges": ([], "arr[str]")}
    tokens = [
        *(("<unk>", "<unk>", UNKNOWN), ("<s>", "<s>", CONTROL), ("</s>", "</s>", CONTROL)),
        *((text, text, CONTROL) for text in control),
        *((text, text, USER_DEFINED) for text in user_defined),
        *bytes_,
        *spelled,
    ]
    if kind == "spm":
        extra["scores"] = np.array([-float(i) for i in range(len(tokens))], np.float32)
    metadata = {
        "tokens": [token for _, token, _ in tokens],
        "token_type": np.array([type_ for _, _, type_ in tokens], np.int32),
        "bos_token_id": 1,
        "eos_token_id": 2,
        **extra,
    }
    ids = {text: i for i, (text, _, _) in enumerate(tokens)}
    return {f"tokenizer.ggml.{key}": value for key, value in metadata.items()}, ids
