"""The loop of `oxillama run`, on a scripted engine."""

from __future__ import annotations

import pytest

from oxillama.cli.completion import complete
from oxillama.engine.types import SamplingParams
from tests.support.fake_engine import BOS, EOS, FIRST_BYTE, FakeEngine, FakeTokenizer


class SpacedTokenizer(FakeTokenizer):
    """Begins every text with a space, as SentencePiece does."""

    def encode(self, text: str, add_special: bool = True, parse_special: bool = False) -> list[int]:
        return super().encode(f" {text}" if text else "", add_special, parse_special)


def engine(reply: str, *, spaced: bool = False) -> FakeEngine:
    made = FakeEngine(reply=reply)
    if spaced:
        made.tokenizer = SpacedTokenizer()
        made._script = lambda _: [*(b + FIRST_BYTE for b in reply.encode()), EOS]
    return made


async def test_pieces_are_written_as_they_come_and_add_up_to_the_text() -> None:
    pieces: list[str] = []

    done = await complete(engine("héllo"), [BOS], SamplingParams(), pieces.append)

    assert pieces == ["h", "é", "l", "l", "o"]
    assert done.text == "héllo"
    assert done.finish_reason == "stop"
    assert done.ids[-1] == EOS
    assert done.usage.completion_tokens == len(done.ids) == 7


@pytest.mark.parametrize(
    ("prompt_ids", "spaced", "text"),
    [
        ([BOS], True, "Once"),  # a new text: the space is the vocabulary's
        ([BOS, FIRST_BYTE + ord("a")], True, " Once"),  # the text goes on: the space is the model's
        ([BOS], False, " Once"),  # the vocabulary puts no space there: the model did
    ],
    ids=["new text", "going on", "no space vocabulary"],
)
async def test_only_the_vocabularys_own_space_is_dropped(prompt_ids: list[int], spaced: bool, text: str) -> None:
    done = await complete(engine(" Once", spaced=spaced), prompt_ids, SamplingParams(), lambda _: None)

    assert done.text == text


async def test_a_second_space_is_the_models() -> None:
    done = await complete(engine("  Once", spaced=True), [BOS], SamplingParams(), lambda _: None)

    assert done.text == " Once"


async def test_json_counts_every_token_and_leaves_out_rates_it_cannot_know() -> None:
    done = await complete(engine("ab"), [BOS], SamplingParams(max_tokens=1), lambda _: None)

    made = done.as_json("tiny")

    assert made["usage"] == {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "cached_tokens": 0}
    assert made["finish_reason"] == "length"
    assert made["ids"] == [FIRST_BYTE + ord("a")]
    assert made["timings"]["decode_tok_s"] is None
