"""The loop of `oxillama run`, with a scripted engine."""

from __future__ import annotations

from oxillama.cli.shared.completion import Completion, complete
from oxillama.cli.shared.terminal.answer import PlainAnswer, Shown
from oxillama.engine.api.types import GenerationRequest, SamplingParams
from tests.support.fake_engine import BOS, EOS, FIRST_BYTE, FakeEngine


def request(max_tokens: int | None = None) -> GenerationRequest:
    return GenerationRequest(prompt_ids=(BOS,), sampling=SamplingParams(max_tokens=max_tokens))


def engine(reply: str) -> FakeEngine:
    return FakeEngine(reply=reply)


async def test_pieces_are_written_immediately_and_add_up_to_the_text() -> None:
    pieces: list[str] = []

    done = await complete(engine("héllo"), Completion(), request(), Shown(PlainAnswer(), pieces.append))

    assert pieces == ["h", "é", "l", "l", "o"]
    assert done.text == "héllo"
    assert done.finish_reason == "stop"
    assert done.ids[-1] == EOS
    assert done.usage.completion_tokens == len(done.ids) == 7


async def test_json_counts_every_token_and_leaves_out_rates_it_cannot_know() -> None:
    done = await complete(engine("ab"), Completion(), request(max_tokens=1), Shown(PlainAnswer(), lambda _: None))

    made = done.as_json("tiny")

    assert made["usage"] == {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "cached_tokens": 0}
    assert made["finish_reason"] == "length"
    assert made["ids"] == [FIRST_BYTE + ord("a")]
    assert made["timings"]["decode_tok_s"] is None
