r"""The regular expressions that split a text before byte-level BPE, by the name in `tokenizer.ggml.pre`.

A file only names its pre-tokenizer. The expressions are published with each model (`pre_tokenizer` in its
tokenizer.json) and are written here in Oniguruma's syntax. They are applied in order. Each splits the pieces of the one
before it; both the matches and the text between them become pieces.

Lookaheads over whole runs of digits are quadratic as published, so they are bounded to 300 digits here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_HAN_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
_HAN_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_ASCII_PUNCTUATION = r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
_QWEN2 = rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
_QWEN35 = (
    rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
    rf"| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACES}"
)
_NO_CONTRACTION = rf"[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"


def _cased(upper: str, lower: str, suffix: str, digits: str, line_end: str) -> str:
    """Words split where lower case changes to upper case, as in o200k and related vocabularies."""
    lead = r"[^\r\n\p{L}\p{N}]?"
    return (
        rf"{lead}{upper}*{lower}+{suffix}|{lead}{upper}+{lower}*{suffix}|{digits}"
        rf"| ?[^\s\p{{L}}\p{{N}}]+{line_end}|{_SPACES}"
    )


_GPT4O = _cased(_UPPER, _LOWER, f"{_CONTRACTION}?", r"\p{N}{1,3}", r"[\r\n/]*")
_TEKKEN = _cased(_UPPER, _LOWER, "", r"\p{N}", r"[\r\n/]*")
_YOUTU = _cased(_UPPER, _LOWER, f"{_CONTRACTION}?", r"\p{N}", r"[\r\n/]*")
_KIMI = r"\p{Han}+|" + _cased(_HAN_UPPER, _HAN_LOWER, f"{_CONTRACTION}?", r"\p{N}{1,3}", r"[\r\n]*")
_DEEPSEEK3 = _ASCII_PUNCTUATION + r"[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|" + _SPACES
_CJK_KANA = r"[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+"
_CJK_HANGUL = r"[\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+"
# Groups of three digits, counted from the right.
_THREES = r"\d{1,3}(?=(?:\d{3}){0,100}\b)"
_BLOOM = r" ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+"
_JAIS2_SPACES = "|".join(rf"\s{{{n}}}(?!\S)" for n in (512, 256, 128, 64, 32, 16, 8, 4)) + r"|\s{1,2}(?!\S)|\s{1}"
# The cased letters, as listed in the published file.
_DEEPSEEK_LETTERS = (
    r"\s?[A-Za-z"
    r"\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF}\x{370}-\x{373}"
    r"\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}"
    r"\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}"
    r"\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}"
    r"\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}"
    r"\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}"
    r"\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}"
    r"\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}"
    r"\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}"
    r"\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}"
    r"\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}"
    r"\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}"
    r"\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}"
    r"]+"
)
_YOUTU_SCRIPTS = (
    r"[\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+"
    r"|[\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C}\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+"
    r"|[\x{3105}-\x{312F}]+|" + _CJK_KANA
)
_AFMOE_SCRIPTS = (
    r"[\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{8C48}-\x{FAFF}\x{3040}-\x{309F}\x{30A0}-\x{30FF}\x{FF65}-\x{FF9F}"
    r"\x{2F00}-\x{2FDF}\x{E40}-\x{E7F}\x{E80}-\x{EFF}\x{1780}-\x{17FF}\x{1000}-\x{109F}\x{AA60}-\x{AA7F}"
    r"\x{A9E0}-\x{A9FF}\x{AC00}-\x{D7AF}\x{1100}-\x{11FF}]+"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreTokenizer:
    """How one family of BPE vocabularies splits its texts.

    splits: the regular expressions, in the order of use. byte_level: bytes are spelled in GPT-2's byte alphabet; else
    pieces are raw text with `<0xHH>` byte fallback. escape_spaces: a space is spelled U+2581. ignore_merges: a piece
    that is a token becomes that token without merges. word_breaks: a space after a letter always starts a new piece.
    add_bos: the default if the file does not say. has_bos: False if the family has no BOS token, whatever the default
    id. nfc: texts are first normalised to NFC, as the `normalizer` of the published tokenizer does; set only where this
    is known.
    """

    splits: tuple[str, ...]
    ignore_merges: bool = False
    add_bos: bool = False
    byte_level: bool = True
    escape_spaces: bool = False
    word_breaks: bool = True
    has_bos: bool = True
    nfc: bool = False


DEFAULT = PreTokenizer(splits=(r"[\p{P}$+<=>^~|]+", _GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"))
_gpt2 = PreTokenizer(splits=(_GPT2,))
_llama3 = PreTokenizer(splits=(_LLAMA3,), ignore_merges=True, add_bos=True)
_llama3_plain = PreTokenizer(splits=(_LLAMA3,))
_qwen2 = PreTokenizer(splits=(_QWEN2,))
_starcoder = PreTokenizer(splits=(r"\p{N}", _GPT2))
_gpt4o = PreTokenizer(splits=(_GPT4O,))
_deepseek3 = PreTokenizer(splits=(r"\p{N}{1,3}", _CJK_KANA, _DEEPSEEK3))
_bloom = PreTokenizer(splits=(_BLOOM,))
_chatglm = PreTokenizer(splits=(_LLAMA3,), has_bos=False)
_bailing = PreTokenizer(
    splits=(
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    )
)
_tiny_aya = PreTokenizer(splits=(_THREES, _GPT4O))
_raw = PreTokenizer(splits=(r"[^\n]+|\n+",), byte_level=False, escape_spaces=True, word_breaks=False)
_gemma4 = replace(_raw, add_bos=True)

_FAMILIES: dict[PreTokenizer, str] = {
    DEFAULT: "default",
    _llama3: "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
    _llama3_plain: "dbrx smaug-bpe",
    _gpt2: "gpt-2 phi-2 jina-es jina-de jina-v2-es jina-v2-de jina-v1-en jina-v2-code roberta-bpe gigachat a.x-4.0 "
    "mellum jais trillion granite-docling exaone4",
    replace(_gpt2, nfc=True): "mpt olmo modern-bert",
    replace(_qwen2, nfc=True): "qwen2",
    _qwen2: "deepseek-r1-qwen kormo f2llmv2 stablelm2 megrez hunyuan solar-open grok-2",
    PreTokenizer(splits=(_QWEN35,), nfc=True): "qwen35",
    replace(_starcoder, nfc=True): "command-r",
    _starcoder: "starcoder refact smollm codeshell exaone minerva-7b mellum2",
    PreTokenizer(splits=(r"[\p{P}$+<=>^~|`]+", _GPT2, r"[0-9][0-9][0-9]")): "falcon",
    PreTokenizer(
        splits=(
            r"[\r\n]",
            _DEEPSEEK_LETTERS,
            r"\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+",
            r"\s+$",
            _CJK_HANGUL,
            r"\p{N}+",
        )
    ): "deepseek-llm",
    PreTokenizer(splits=(r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _CJK_HANGUL, r"\p{N}")): "deepseek-coder",
    _deepseek3: "deepseek-v3 hunyuan-dense joyai-llm hy_v4",
    PreTokenizer(
        splits=(
            r"\p{N}{1,3}",
            _CJK_KANA,
            _DEEPSEEK3.replace(r"[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+", r"[\p{P}\p{S}]+|[\r\n]"),
            r"\p{N}",
        )
    ): "spark2_5",
    PreTokenizer(splits=(_YOUTU_SCRIPTS, _YOUTU), ignore_merges=True): "youtu",
    PreTokenizer(splits=(_LLAMA3.replace(r"\s+(?!\S)|\s+", _JAIS2_SPACES),)): "jais-2",
    _bloom: "bloom poro-chat gpt3-finnish",
    PreTokenizer(splits=(_BLOOM, r"\p{N}")): "viking",
    _chatglm: "chatglm-bpe",
    replace(_chatglm, ignore_merges=True): "glm4 glm5",
    PreTokenizer(splits=(_TEKKEN,), ignore_merges=True, add_bos=True): "tekken",
    _gpt4o: "gpt-4o llama4 kanana2 talkie minimax-m2",
    replace(_gpt4o, ignore_merges=True): "granite-embed-multi-97m",
    _tiny_aya: "tiny_aya cohere2moe",
    PreTokenizer(splits=(_THREES, _AFMOE_SCRIPTS, _DEEPSEEK3)): "afmoe",
    PreTokenizer(splits=(r"\p{N}+", r"\d{1,3}(?=(?:\d{3}){0,100}(?!\d))")): "superbpe",
    PreTokenizer(splits=(_KIMI,)): "kimi-k2",
    _bailing: "bailingmoe bailingmoe2 llada-moe",
    PreTokenizer(splits=(_QWEN2.replace(r" ?[^\s\p{L}\p{N}]+[\r\n]*", r" ?[^\s\p{L}\p{N}\r\n]+"),)): "seed-coder",
    PreTokenizer(splits=(_NO_CONTRACTION,)): "ufakzeka",
    PreTokenizer(splits=(r"[^\n]+|\n+", _QWEN2)): "laguna",
    PreTokenizer(
        splits=(
            _CONTRACTION + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",
        ),
        word_breaks=False,
    ): "exaone-moe",
    PreTokenizer(splits=(r"\p{N}{1,3}", _QWEN2.replace(r"|\p{N}|", r"|\p{N}+|")), ignore_merges=True): "minicpm5",
    PreTokenizer(
        splits=(
            r"<sentinel:[0-9]+>",
            r"(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
            r"([\t\n]|    |  )",
            r"\p{N}",
            r"[\p{P}!-/:-@\[-`{-~]",
            _GPT2,
        ),
        add_bos=True,
    ): "chameleon",
    _gemma4: "gemma4 granite-embed-multi-311m",
    _raw: "sarvam-moe",
}

BY_NAME: dict[str, PreTokenizer] = {name: pre for pre, names in _FAMILIES.items() for name in names.split()}
GEMMA4 = _gemma4
