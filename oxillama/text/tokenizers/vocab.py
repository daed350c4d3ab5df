"""The vocabulary of a GGUF file: tokens, their types, and the special tokens.

All metadata is checked here once. Encoders and decoders rely on these checks.
"""

from __future__ import annotations

import enum
import logging
import re
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from oxillama.errors import ModelFormatError
from oxillama.text.tokenizers.metadata import Metadata, get_array, get_bool, get_int, get_str, get_strs
from oxillama.text.tokenizers.specials import (
    ALWAYS_SHOWN,
    END_OF_GENERATION,
    FIM_OTHERS,
    FIM_PAD,
    FIM_REPO,
    FIM_SEPARATOR,
)

logger = logging.getLogger(__name__)

_KEY = "tokenizer.ggml."
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
MAX_TOKEN_BYTES = 1 << 16


class Attr(enum.IntFlag):
    """Bits that describe a token. A file gives each token one type; CONTROL may be added for well-known texts."""

    UNDEFINED = 0
    UNKNOWN = 1
    UNUSED = 2
    NORMAL = 4
    CONTROL = 8
    USER_DEFINED = 16
    BYTE = 32
    LSTRIP = 64
    RSTRIP = 128
    SHOWN = 256


NORMAL, CONTROL, USER_DEFINED, BYTE = int(Attr.NORMAL), int(Attr.CONTROL), int(Attr.USER_DEFINED), int(Attr.BYTE)
UNKNOWN, UNUSED, LSTRIP, RSTRIP = int(Attr.UNKNOWN), int(Attr.UNUSED), int(Attr.LSTRIP), int(Attr.RSTRIP)
SHOWN = int(Attr.SHOWN)  # a control token whose text readers of the output need
# Index: the number in tokenizer.ggml.token_type.
_ATTR_OF_TYPE = np.array(
    [0, Attr.NORMAL, Attr.UNKNOWN, Attr.CONTROL, Attr.USER_DEFINED, Attr.UNUSED, Attr.BYTE, 0], np.uint8
)
# Default ids of special tokens per kind of vocabulary, for files without the keys.
_DEFAULT_IDS: dict[str, dict[str, int]] = {
    "llama": {"bos": 1, "eos": 2, "unknown": 0},
    "bert": {"bos": 101, "unknown": 100, "seperator": 102, "padding": 0, "mask": 103},
    "t5": {"eos": 1, "unknown": 2, "padding": 0},
}
# Converters write -1 for "no such token", signed or not.
_NO_TOKEN = (-1, 2**32 - 1)
_ID_NAMES = (
    "bos", "eos", "eot", "eom", "unknown", "seperator", "padding", "cls", "mask",
    "fim_pre", "fim_suf", "fim_mid", "fim_pad", "fim_rep", "fim_sep", "prefix", "suffix", "middle",
)  # fmt: skip


@dataclass(slots=True)
class Vocab:
    """A checked vocabulary of n tokens.

    attrs: the `Attr` bits of each token. scores: (n,). special: ids of special tokens by GGUF's names, such as "bos"
    for tokenizer.ggml.bos_token_id. add_space_prefix, add_bos, add_eos: None if the file does not say. charsmap: empty
    if the file has none. byte_ids: byte → id of its `<0xHH>` token. add_sep: a pair of texts has one more token between
    them.
    """

    model: str
    pre: str | None
    tokens: list[str]
    ids: dict[str, int]
    attrs: list[int]
    scores: npt.NDArray[np.float32]
    special: dict[str, int]
    eog_ids: frozenset[int]
    add_space_prefix: bool | None
    remove_extra_whitespaces: bool
    add_bos: bool | None
    add_eos: bool | None
    add_sep: bool
    lowercase: bool
    strip_accents: bool
    merges: list[str] | None
    charsmap: bytes
    byte_ids: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tokens)


def byte_value(token: str) -> int | None:
    """The byte that a token such as `<0x0A>` stands for; None for other tokens."""
    match = _BYTE_TOKEN.fullmatch(token)
    return int(match[1], 16) if match else None


def _token_list(metadata: Metadata) -> tuple[list[str], dict[str, int]]:
    key = _KEY + "tokens"
    tokens = get_strs(metadata, key)
    if tokens is None:
        raise ModelFormatError(f"{key} is missing: the file has no vocabulary.")
    if not tokens:
        raise ModelFormatError(f"{key} is empty.")
    if "" in tokens:
        tokens = [token or f"[EMPTY_{i}]" for i, token in enumerate(tokens)]
    longest = max(tokens, key=len)
    if len(longest) > MAX_TOKEN_BYTES:
        raise ModelFormatError(
            f"{key}[{tokens.index(longest)}] is {len(longest)} characters long; at most {MAX_TOKEN_BYTES} are allowed."
        )
    ids = dict(zip(tokens, range(len(tokens)), strict=True))
    if len(ids) != len(tokens):
        second = next(i for i, token in enumerate(tokens) if ids[token] != i)
        token = tokens[second]
        raise ModelFormatError(f"{key}[{second}] {token[:40]!r} is there twice (again at {ids[token]}).")
    return tokens, ids


def _special_ids(metadata: Metadata, model: str, n: int) -> dict[str, int]:
    special = {name: i for name, i in _DEFAULT_IDS.get(model, {}).items() if i < n}
    for name in _ID_NAMES:
        key = f"{_KEY}{name}_token_id"
        value = get_int(metadata, key)
        if value is None:
            continue
        if 0 <= value < n:
            special[name] = value
        elif value in _NO_TOKEN:
            special.pop(name, None)
        elif name == "padding":
            # Old converters wrote an id one past the end. Nothing is ever padded, so this does no harm.
            logger.warning("%s %d is outside the vocabulary of %d tokens; ignored", key, value, n)
            special.pop(name, None)
        else:
            raise ModelFormatError(f"{key} {value} is outside the vocabulary of {n} tokens.")
    if model == "bert" and _KEY + "bos_token_id" not in metadata and "cls" in special:
        special["bos"] = special["cls"]
    for old, new in (("prefix", "fim_pre"), ("suffix", "fim_suf"), ("middle", "fim_mid")):
        if old in special:
            special.setdefault(new, special[old])
    return special


def _first(texts: tuple[str, ...], ids: dict[str, int]) -> int | None:
    return min((ids[text] for text in texts if text in ids), default=None)


def _mark_specials(ids: dict[str, int], attrs: list[int], special: dict[str, int]) -> frozenset[int]:
    """Find the tokens that end a generation, by key and by well-known text. The latter become control tokens."""
    for name, texts in (("fim_pad", FIM_PAD), ("fim_rep", FIM_REPO), ("fim_sep", FIM_SEPARATOR), *FIM_OTHERS):
        found = _first(texts, ids) if name not in special else None
        if found is not None:
            special[name] = found
            attrs[found] |= CONTROL
    eog = {special[name] for name in ("fim_pad", "fim_rep", "fim_sep", "eos", "eot", "eom") if name in special}
    for text in END_OF_GENERATION:
        if text in ids:
            eog.add(ids[text])
            attrs[ids[text]] |= CONTROL
    for text in ALWAYS_SHOWN:
        if text in ids:
            attrs[ids[text]] = CONTROL | SHOWN

    def ends(*texts: str) -> bool:
        return all(ids.get(text) in eog for text in texts)

    # In the harmony format <|end|> closes a message, not the answer.
    calls = ends("<|call|>") or ends("<|calls|>")
    if ends("<|end|>") and calls and (ends("<|return|>") or ends("<|flush|>")):
        eog.discard(ids["<|end|>"])
        attrs[ids["<|end|>"]] = CONTROL | SHOWN
    # If another token ends the turn, </s> is an ordinary token.
    if ends("</s>") and (ends("<|tool_response>") or ends("<|plamo:eos|>")):
        eog.discard(ids["</s>"])
        attrs[ids["</s>"]] = NORMAL
    return frozenset(eog)


def _mark_strips(metadata: Metadata, pre: str | None, ids: dict[str, int], attrs: list[int]) -> None:
    """Set the strip flags: which special tokens remove the whitespace beside them.

    Files do not say, so this depends on the names of the model, its architecture and its pre-tokenizer.
    """
    name = (get_str(metadata, "general.name") or "").lower()
    arch = get_str(metadata, "general.architecture") or ""
    lstrip: str | None = None
    if (pre and "jina-v2-" in pre and pre[-2:] != "en") or "nomic-bert-moe" in arch or "jina-bert-v3" in arch:
        lstrip = "<mask>"
    elif "phi-3" in name or "phi3" in name:
        kept = {ids.get(text) for text in ("<unk>", "<s>", "<|endoftext|>")}
        for i, attr in enumerate(attrs):
            if attr & (CONTROL | USER_DEFINED | UNKNOWN) and i not in kept:
                attrs[i] |= RSTRIP
        if "</s>" in ids:
            attrs[ids["</s>"]] |= RSTRIP
    elif "modern-bert" in name:
        lstrip = "[MASK]"
    if lstrip in ids:
        attrs[ids[lstrip]] |= LSTRIP


def _byte_ids(tokens: list[str], attrs: list[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for i, attr in enumerate(attrs):
        if attr & BYTE:
            value = byte_value(tokens[i])
            if value is None:
                raise ModelFormatError(
                    f"{_KEY}tokens[{i}] {tokens[i][:40]!r} has the type of a byte, but is not written <0xHH>."
                )
            found[value] = i
    return found


def load_vocab(metadata: Metadata) -> Vocab:
    """Read and check `tokenizer.ggml.*`.

    Raises ModelFormatError, naming the key, for values that are missing, out of range, contradictory, or of the wrong
    type or length.
    """
    model = get_str(metadata, _KEY + "model")
    if model is None:
        raise ModelFormatError(f"{_KEY}model is missing: the file has no vocabulary.")
    pre = get_str(metadata, _KEY + "pre")
    tokens, ids = _token_list(metadata)
    n = len(tokens)
    types = get_array(metadata, _KEY + "token_type", (np.int32, np.uint32), "int32", n)
    attrs = [NORMAL] * n if types is None else _ATTR_OF_TYPE[np.where((types < 0) | (types > 6), 7, types)].tolist()
    scores = get_array(metadata, _KEY + "scores", (np.float32, np.int32), "float32", n)
    scores = np.zeros(n, np.float32) if scores is None else scores.astype(np.float32)
    if np.isnan(scores).any():
        raise ModelFormatError(f"{_KEY}scores[{int(np.isnan(scores).argmax())}] is not a number.")
    byte_ids = _byte_ids(tokens, attrs)
    special = _special_ids(metadata, model, n)
    eog_ids = _mark_specials(ids, attrs, special)
    _mark_strips(metadata, pre, ids, attrs)
    charsmap = get_array(metadata, _KEY + "precompiled_charsmap", (np.uint8, np.int8), "bytes")
    lowercase = get_bool(metadata, _KEY + "normalizer.lowercase", True)
    prefix_key = _KEY + "add_space_prefix"
    return Vocab(
        model=model,
        pre=pre,
        tokens=tokens,
        ids=ids,
        attrs=attrs,
        scores=scores,
        special=special,
        eog_ids=eog_ids,
        add_space_prefix=get_bool(metadata, prefix_key, False) if prefix_key in metadata else None,
        remove_extra_whitespaces=get_bool(metadata, _KEY + "remove_extra_whitespaces", False),
        add_bos=get_bool(metadata, _KEY + "add_bos_token", False) if _KEY + "add_bos_token" in metadata else None,
        add_eos=get_bool(metadata, _KEY + "add_eos_token", False) if _KEY + "add_eos_token" in metadata else None,
        add_sep=get_bool(metadata, _KEY + "add_sep_token", model == "t5"),
        lowercase=lowercase,
        strip_accents=get_bool(metadata, _KEY + "normalizer.strip_accents", lowercase),
        merges=get_strs(metadata, _KEY + "merges"),
        charsmap=b"" if charsmap is None else charsmap.tobytes(),
        byte_ids=byte_ids,
    )
