"""The prompt that asks for the text between two others, for each kind of vocabulary."""

from __future__ import annotations

from typing import Any

import pytest

from oxillama.engine.requests.infill import Gap, OtherFile, infill_prompt
from oxillama.errors import InvalidParameterError
from oxillama.text import PromptText, Tokenizer
from tests.support.fake_engine import FakeEngine
from tests.text.vocabularies import bpe_metadata, spm_metadata


class Coder(FakeEngine):
    """An engine of a model with this vocabulary."""

    def __init__(self, metadata: dict[str, Any], n_ctx: int = 500) -> None:
        super().__init__(n_ctx=n_ctx)
        self.vocabulary = Tokenizer(metadata)
        self.tokenizer = self.vocabulary  # type: ignore[assignment]

    async def encode(
        self, text: str | PromptText, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        return self.vocabulary.encode(text, add_special, parse_special)

    async def spelled(self, gap: Gap, answer: int | None = None) -> str:
        ids = await infill_prompt(self, gap, param="suffix", answer=answer)
        return "".join(
            self.vocabulary.token_text(i) if self.vocabulary.is_control(i) else self.vocabulary.decode([i]).decode()
            for i in ids
        )


def bpe(*control: str, **keys: Any) -> Coder:
    return Coder(bpe_metadata(control=control, **keys))


QWEN = ("<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|repo_name|>", "<|file_sep|>")
GAP = Gap(prefix="def f(", suffix="):\n  pass", beginning="a")
WITH_OTHERS = Gap(prefix="P", suffix="S", others=(OtherFile(text="x = 1\n", name="a.py"), OtherFile(text="y = 2\n")))


@pytest.mark.parametrize(
    ("engine", "prompt"),
    [
        (bpe(*QWEN), "<|fim_prefix|>def f(<|fim_suffix|>):\n  pass<|fim_middle|>a"),
        (
            bpe("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
            "<fim_prefix>def f(<fim_suffix>):\n  pass<fim_middle>a",
        ),
        (
            bpe("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", "<b>", bos_token_id=259, add_bos_token=True),
            "<b><｜fim▁begin｜>def f(<｜fim▁hole｜>):\n  pass<｜fim▁end｜>a",
        ),
        (
            bpe("<s>", "[PREFIX]", "[SUFFIX]", "[MIDDLE]", bos_token_id=256, add_bos_token=True),
            "<s>[SUFFIX]):\n  pass[PREFIX]def f(a",
        ),
        (
            bpe("<[fim-suffix]>", "<[fim-prefix]>", "<[fim-middle]>"),
            "<[fim-suffix]>):\n  pass<[fim-prefix]>def f(<[fim-middle]>a",
        ),
    ],
    ids=["Qwen2.5-Coder", "StarCoder", "DeepSeek-Coder", "Codestral", "Seed-Coder"],
)
async def test_each_family_is_asked_in_its_own_order(engine: Coder, prompt: str) -> None:
    assert await engine.spelled(GAP) == prompt


async def test_only_the_prefix_of_code_llama_begins_with_a_space() -> None:
    """As its authors' code has it: the suffix is encoded without the space that begins texts."""
    pieces = {"▁": -9.0, "▁a": -1.0, "▁b": -1.0, "a": -3.0, "b": -3.0}
    engine = Coder(spm_metadata(pieces | dict.fromkeys(("▁<PRE>", "▁<SUF>", "▁<MID>"), -99.0)))
    find = engine.vocabulary.find
    assert await infill_prompt(engine, Gap(prefix="a", suffix="b"), param="suffix") == (
        1, find("▁<PRE>"), find("▁a"), find("▁<SUF>"), find("b"), find("▁<MID>"),
    )  # fmt: skip
    assert await infill_prompt(engine, Gap(prefix="", suffix=" b"), param="suffix") == (
        1, find("▁<PRE>"), find("▁<SUF>"), find("▁b"), find("▁<MID>"),
    )  # fmt: skip


async def test_a_prefix_may_be_token_ids() -> None:
    engine = bpe(*QWEN)
    ids = tuple(await engine.encode("def f("))
    assert await engine.spelled(Gap(prefix=ids, suffix="")) == "<|fim_prefix|>def f(<|fim_suffix|><|fim_middle|>"


async def test_text_that_spells_a_control_token_stays_text() -> None:
    engine = bpe(*QWEN)
    gap = Gap(prefix="<|fim_middle|>", suffix="<|endoftext|>", others=(OtherFile(text="<|file_sep|>"),))
    ids = await infill_prompt(engine, gap, param="suffix")
    assert sum(engine.vocabulary.is_control(i) for i in ids) == 6


async def test_other_files_stand_before_the_prefix() -> None:
    assert await bpe(*QWEN).spelled(WITH_OTHERS) == (
        "<|repo_name|>myproject\n<|file_sep|>a.py\nx = 1\n<|file_sep|>tmp\ny = 2\n<|file_sep|>filename\n"
        "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>"
    )
    assert await bpe("<fim_prefix>", "<fim_suffix>", "<fim_middle>").spelled(WITH_OTHERS) == (
        "\n\n--- snippet ---\n\nx = 1\n\n\n--- snippet ---\n\ny = 2\n<fim_prefix>P<fim_suffix>S<fim_middle>"
    )


HEAD, ALL = "<|repo_name|>myproject\n", "<|fim_prefix|>PPPPPPPPPPPP<|fim_suffix|>SSSSSSSS<|fim_middle|>"


@pytest.mark.parametrize(
    ("answer", "prompt"),
    [
        (100, f"{HEAD}<|file_sep|>a\nxxxxx<|file_sep|>b\nyyyyy<|file_sep|>filename\n{ALL}"),
        (139, f"{HEAD}<|file_sep|>a\nxxxxx<|file_sep|>b\nyyyyy<|file_sep|>filename\n{ALL}"),
        (140, f"{HEAD}<|file_sep|>b\nyyyyy<|file_sep|>filename\n{ALL}"),
        (147, f"{HEAD}<|file_sep|>b\nyyyyy<|file_sep|>filename\n{ALL}"),
        (148, ALL),
        (176, ALL),
        (184, "<|fim_prefix|>PPPPPPPPP<|fim_suffix|>SSS<|fim_middle|>"),
        (195, "<|fim_prefix|>P<|fim_suffix|><|fim_middle|>"),
        (200, "<|fim_prefix|><|fim_suffix|><|fim_middle|>"),
    ],
)
async def test_what_does_not_fit_beside_the_answer_is_left_out(answer: int, prompt: str) -> None:
    engine = Coder(bpe_metadata(control=QWEN), n_ctx=200)
    others = (OtherFile(text="xxxxx", name="a"), OtherFile(text="yyyyy", name="b"))
    gap = Gap(prefix="P" * 12, suffix="S" * 8, others=others)

    assert await engine.spelled(gap, answer) == prompt
    whole = await engine.spelled(gap)
    assert "xxxxx" in whole
    assert "P" * 12 in whole


async def test_a_short_suffix_leaves_its_room_to_the_prefix_and_a_short_prefix_its_own() -> None:
    engine = Coder(bpe_metadata(control=QWEN), n_ctx=100)
    long_prefix = await engine.spelled(Gap(prefix="abcdefgh" * 9, suffix="S"), answer=76)
    assert long_prefix == "<|fim_prefix|>" + ("abcdefgh" * 9)[-19:] + "<|fim_suffix|>S<|fim_middle|>"
    long_suffix = await engine.spelled(Gap(prefix="P", suffix="abcdefgh" * 9), answer=76)
    assert long_suffix == "<|fim_prefix|>P<|fim_suffix|>" + ("abcdefgh" * 9)[:19] + "<|fim_middle|>"


async def test_of_a_very_long_prefix_only_the_end_is_read() -> None:
    engine = Coder(bpe_metadata(control=QWEN), n_ctx=50)
    prompt = await engine.spelled(Gap(prefix="x" * 1_000_000 + "end", suffix="y" * 1_000_000), answer=10)
    assert "end<|fim_suffix|>" in prompt
    assert len(prompt) < 100


async def test_a_vocabulary_without_such_tokens_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="no tokens for filling in the middle") as refused:
        await infill_prompt(FakeEngine(), GAP, param="input_suffix")
    assert (refused.value.param, refused.value.code) == ("input_suffix", "unsupported_parameter")
