"""Models with windows and recurrent states reuse what was computed, to the same tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from oxillama.engine.api.config import EngineConfig
from oxillama.engine.api.types import Usage
from oxillama.engine.engine import Engine
from tests.engine.harness import request
from tests.support.oracles import make_oracle

Ids = tuple[int, ...]
ARCHITECTURES = ["gemma3", "gpt-oss-moe", "qwen35", "lfm2"]
INSTRUCTIONS = tuple(3 + 7 * i % 120 for i in range(75))


@pytest.fixture(scope="module", params=ARCHITECTURES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_oracle(request.param, tmp_path_factory.mktemp("oracle") / "model.gguf")


def config(**options: Any) -> EngineConfig:
    return EngineConfig(n_threads=1, **({"n_ctx": 512, "n_batch": 64, "parallel": 4} | options))


async def ask(engine: Engine, prompt: Ids, n: int = 8, **options: Any) -> tuple[Ids, Usage]:
    wanted = request(prompt, max_tokens=n, ignore_eos=True, temperature=0.9, seed=5, **options)
    async with engine.generate(wanted) as stream:
        events = [event async for event in stream]
    return tuple(event.token_id for event in events if event.token_id is not None), stream.usage


async def together(engine: Engine, prompts: Sequence[Ids], n: int = 8) -> list[tuple[Ids, Usage]]:
    found: dict[int, tuple[Ids, Usage]] = {}

    async def one(i: int) -> None:
        found[i] = await ask(engine, prompts[i], n)

    async with trio.open_nursery() as nursery:
        for i in range(len(prompts)):
            nursery.start_soon(one, i)
    return [found[i] for i in range(len(prompts))]


async def test_the_turns_of_a_conversation_compute_only_what_is_new(model: Path) -> None:
    async with Engine.open(model, config()) as engine:
        prompt, known = INSTRUCTIONS, 0
        for turn in range(6):
            answer, usage = await ask(engine, prompt)
            fresh, none = await ask(engine, prompt, cache_prompt=False)
            assert answer == fresh
            assert (usage.cached_tokens, none.cached_tokens) == (known, 0)
            known = len(prompt) + len(answer) - 1  # the last token of an answer was chosen, not computed
            prompt = (*prompt, *answer, *range(10 + turn, 30 + turn))


async def test_requests_that_arrive_together_compute_their_common_part_once(model: Path) -> None:
    prompts = [(*INSTRUCTIONS, 20 + i, *range(40, 40 + i)) for i in range(4)]
    async with Engine.open(model, config()) as engine:
        found = await together(engine, prompts)
        counts = engine.statistics()
        alone = [(await ask(engine, prompt, cache_prompt=False))[0] for prompt in prompts]
    assert [answer for answer, _ in found] == alone
    assert sorted(usage.cached_tokens for _, usage in found) == [0, *[len(INSTRUCTIONS)] * 3]
    assert counts.prompt_tokens_total == len(INSTRUCTIONS) + sum(1 + i for i in range(4))


async def test_a_prompt_is_continued_from_checkpoints(model: Path) -> None:
    """The same prompt again, and prompts that leave it in the middle."""
    async with Engine.open(model, config()) as engine:
        prompts = [(*INSTRUCTIONS, *[20 + i] * 40) for i in (0, 0, 1, 2)]
        found = [await ask(engine, prompt) for prompt in prompts]
        alone = [(await ask(engine, prompt, cache_prompt=False))[0] for prompt in prompts]
    assert [answer for answer, _ in found] == alone
    again, branch, later = (usage.cached_tokens for _, usage in found[1:])
    assert again >= 96  # a page before its end
    assert branch <= len(INSTRUCTIONS) == later


async def test_paused_requests_continue_to_the_same_tokens(model: Path) -> None:
    prompts = [(*INSTRUCTIONS[:30], 20 + i) for i in range(2)]
    async with Engine.open(model, config(kv_pages=20)) as engine:
        found = await together(engine, prompts, 350)
        assert engine.statistics().pauses_total > 0
        alone = [(await ask(engine, prompt, 350, cache_prompt=False))[0] for prompt in prompts]
    assert [answer for answer, _ in found] == alone
