"""The routes with the real engine and a tiny model, for what the scripted engine cannot show."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from oxillama.engine.api.config import EngineConfig
from oxillama.engine.api.types import SamplerParams
from oxillama.engine.engine import Engine
from oxillama.server.backend import model_source
from oxillama.server.config import ServerConfig
from tests.support.hostile_requests import CASES, COMPLETIONS, fault
from tests.support.live_server import Live, chat, live_server, post
from tests.support.tiny_models import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf", vocab="spm")


@asynccontextmanager
async def serving(model: Path, **settings: Any) -> AsyncIterator[Live]:
    config = EngineConfig(n_threads=1, n_ctx=256, parallel=4, model_name="fake-model")
    async with Engine.open(model, config) as engine, live_server(engine, **settings) as live:
        yield live


async def answer(live: Live, data: bytes) -> Any:
    got = await live.ask(data)
    assert got.status == 200, got.body
    return json.loads(got.body)


def completion(**fields: Any) -> bytes:
    return post(COMPLETIONS, {"model": "fake-model", "prompt": "once upon a time"} | fields)


async def test_hostile_requests_do_not_harm_it(model: Path) -> None:
    wrong: list[str] = []
    async with serving(model) as live:
        for name, data in CASES:
            got = await live.ask(data)
            # Its vocabulary is larger than the scripted one's, so a few token ids are legal here.
            if got.status != 200 and (problem := fault(got)):
                wrong.append(f"{name}: {problem}")
        assert (await live.ask(chat(max_tokens=2))).status == 200
        assert live.engine.statistics().active == live.engine.statistics().waiting == 0
    assert wrong == []


async def test_greedy_answers_agree_whole_streamed_and_in_a_batch(model: Path) -> None:
    async with serving(model) as live:
        wanted = {"temperature": 0, "max_tokens": 24, "ignore_eos": True}
        whole = await answer(live, chat(**wanted))
        text = whole["choices"][0]["message"]["content"]
        assert whole["usage"]["completion_tokens"] == 24
        streamed = (await live.ask(chat(**wanted, stream=True))).body.decode()
        chunks = [json.loads(line[6:]) for line in streamed.splitlines() if line.startswith("data: {")]
        assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == text
        several = await answer(live, chat(**wanted, n=4))
        assert [c["message"]["content"] for c in several["choices"]] == [text] * 4


async def test_a_seed_repeats_and_gives_each_choice_its_own(model: Path) -> None:
    async with serving(model) as live:
        wanted = {"seed": 5, "max_tokens": 16, "ignore_eos": True, "temperature": 2}
        first, again = [(await answer(live, completion(**wanted, n=2)))["choices"] for _ in range(2)]
        assert [c["text"] for c in first] == [c["text"] for c in again]
        assert first[0]["text"] != first[1]["text"]
        assert (await answer(live, completion(**wanted)))["choices"][0]["text"] == first[0]["text"]


async def test_scoring_a_text_gives_the_logprobs_of_its_generation(model: Path) -> None:
    async with serving(model) as live:
        prompt = [1, 300, 290, 280]
        wanted = {"prompt": prompt, "temperature": 0, "logprobs": 3, "ignore_eos": True}
        made = (await answer(live, completion(**wanted, max_tokens=6, echo=True)))["choices"][0]["logprobs"]
        only = (await answer(live, completion(**wanted, max_tokens=0, echo=True)))["choices"][0]["logprobs"]
        assert made["tokens"][: len(prompt)] == only["tokens"]
        assert made["token_logprobs"][0] is None
        assert only["token_logprobs"][1:] == pytest.approx(made["token_logprobs"][1 : len(prompt)], abs=1e-4)
        assert all(value <= 0 for value in made["token_logprobs"][1:])
        # Greedy: each generated token is the likeliest of its alternatives.
        for value, top in zip(made["token_logprobs"][len(prompt) :], made["top_logprobs"][len(prompt) :], strict=True):
            assert value == max(top.values())


async def test_a_bias_bans_and_forces_tokens(model: Path) -> None:
    async with serving(model) as live:
        forced = {"logit_bias": {"300": 100}, "max_tokens": 5, "temperature": 0, "logprobs": 0}
        tokens = (await answer(live, completion(**forced)))["choices"][0]["logprobs"]["tokens"]
        assert len(set(tokens)) == 1
        assert tokens == [live.engine.tokenizer.token_bytes(300).decode()] * 5


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_frees_its_slot(model: Path, stream: bool) -> None:
    async with serving(model) as live:
        for _ in range(10):
            async with await live.connect() as client:
                await client.send(chat(stream=stream, ignore_eos=True))
                if stream:
                    await client.until(b'"content":')
        with trio.fail_after(10):
            while live.engine.statistics().active + live.engine.statistics().waiting:
                await trio.sleep(0.01)
        pages = live.engine.statistics()
        assert (await live.ask(chat(max_tokens=1))).status == 200
        assert pages.n_pages >= pages.free_pages > 0


@pytest.mark.parametrize(("tokens", "pages"), [(None, 4 * 16), (1000, 32), (100, 4)])
async def test_the_cache_has_the_size_that_was_set(model: Path, tokens: int | None, pages: int) -> None:
    settings = ServerConfig(model=str(model), ctx_size=512, cache_tokens=tokens, threads=1)
    source = model_source(settings)
    async with Engine.open(source.path, source.config) as engine:
        assert engine.statistics().n_pages == pages
        assert engine.n_ctx == min(512, 32 * pages)


async def test_settings_give_the_sampling_values_that_a_request_lacks(model: Path) -> None:
    source = model_source(ServerConfig(model=str(model), temperature=0.0, repeat_last_n=9))
    assert source.config.sampling == SamplerParams(temperature=0.0, repeat_last_n=9)


async def test_one_setting_limits_the_time_of_a_generation(model: Path) -> None:
    assert model_source(ServerConfig(model=str(model), generation_timeout=7.0)).config.max_generation_s == 7.0
