"""Answers and metrics say how many tokens of a prompt were not computed, and requests may opt out of sharing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from oxillama.engine.api.config import EngineConfig
from oxillama.engine.engine import Engine
from tests.server.test_metrics import values
from tests.support.live_server import Live, get, live_server, post
from tests.support.tiny_models import tiny_model

TEXT = "once upon a time there was a small red cat that wanted to know everything about the sea and its ships"
KEYS = ("key-one", "key-two")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf", vocab="spm")


@asynccontextmanager
async def serving(model: Path, **settings: Any) -> AsyncIterator[Live]:
    config = EngineConfig(n_threads=1, n_ctx=2048, parallel=4, model_name="fake-model")
    async with Engine.open(model, config) as engine, live_server(engine, **settings) as live:
        yield live


def key(name: str) -> str:
    return f"Authorization: Bearer {name}"


def completion(*headers: str, prompt: str = TEXT, **fields: Any) -> bytes:
    body = {"model": "fake-model", "prompt": prompt, "max_tokens": 4, "temperature": 0, "ignore_eos": True}
    return post("/v1/completions", body | fields, *headers)


async def answer(live: Live, data: bytes) -> Any:
    got = await live.ask(data)
    assert got.status == 200, got.body
    return json.loads(got.body)


async def metrics(live: Live) -> dict[str, float]:
    return values((await live.ask(get("/metrics"))).body.decode())


def cached(body: Any) -> int:
    return int(body["usage"]["prompt_tokens_details"]["cached_tokens"])


async def test_a_prompt_that_was_computed_before_is_counted(model: Path) -> None:
    async with serving(model) as live:
        first, again = [await answer(live, completion()) for _ in range(2)]
        other = await answer(live, completion(prompt=TEXT + " again"))
        n = first["usage"]["prompt_tokens"]
        assert [cached(body) for body in (first, again)] == [0, n - 1]
        assert n - 2 <= cached(other) <= n  # the last token of the text may continue differently
        assert first["choices"] == again["choices"]
        found = await metrics(live)
        assert found["oxillama_prompt_tokens_cached_total"] == cached(again) + cached(other)
        assert found["oxillama_prompt_tokens_total"] == n + 1 + other["usage"]["prompt_tokens"] - cached(other)


async def test_choices_of_one_request_share_its_prompt(model: Path) -> None:
    async with serving(model) as live:
        body = await answer(live, completion(n=4, temperature=1))
        found = await metrics(live)
    n = body["usage"]["prompt_tokens"]
    assert cached(body) == 0
    assert found["oxillama_prompt_tokens_total"] == n + 3
    assert found["oxillama_prompt_tokens_cached_total"] == 3 * (n - 1)


async def test_requests_that_arrive_together_compute_what_they_share_once(model: Path) -> None:
    async with serving(model) as live:
        bodies: list[Any] = []

        async def ask(ending: str) -> None:
            bodies.append(await answer(live, completion(prompt=TEXT + ending)))

        async with trio.open_nursery() as nursery:
            for ending in ("! One", "! Two", "! Three", "! Four"):
                nursery.start_soon(ask, ending)
        found = await metrics(live)
    n = sum(body["usage"]["prompt_tokens"] for body in bodies)
    assert found["oxillama_prompt_tokens_total"] == n - sum(map(cached, bodies))
    assert found["oxillama_prompt_tokens_total"] < n / 2


async def test_a_request_may_opt_out(model: Path) -> None:
    async with serving(model) as live:
        bodies = [await answer(live, completion(cache_prompt=reuse)) for reuse in (False, None, False, True)]
        n = bodies[0]["usage"]["prompt_tokens"]
    assert [cached(body) for body in bodies] == [0, 0, 0, n - 1]
    assert len({body["choices"][0]["text"] for body in bodies}) == 1


@pytest.mark.parametrize(("isolate", "found"), [(False, [0, 1, 1, 1]), (True, [0, 1, 0, 1])])
async def test_keys_can_be_isolated(model: Path, isolate: bool, found: list[int]) -> None:
    async with serving(model, api_keys=KEYS, isolate_keys=isolate) as live:
        bodies = [await answer(live, completion(key(KEYS[i]))) for i in (0, 0, 1, 1)]
    assert [min(1, cached(body)) for body in bodies] == found


async def test_a_single_key_is_not_isolated_from_its_runs(model: Path) -> None:
    async with serving(model, api_keys=KEYS[:1], isolate_keys=True) as live:
        assert [cached(await answer(live, completion(key(KEYS[0])))) > 0 for _ in range(2)] == [False, True]


@pytest.mark.parametrize("isolate", [False, True])
async def test_the_next_run_of_a_thread_computes_only_what_is_new(model: Path, isolate: bool) -> None:
    async with serving(model, api_keys=KEYS, isolate_keys=isolate) as live:

        async def make(path: str, **body: Any) -> Any:
            return await answer(live, post(f"/v1{path}", body, key(KEYS[0])))

        async def run(thread: str) -> Any:
            body = {"assistant_id": assistant, "max_completion_tokens": 256}
            return await make(f"/threads/{thread}/runs", **body, stream=False)

        async def used(thread: str) -> tuple[int, int]:
            """Prompt tokens of a new run, and how many of them were cached."""
            number = (await run(thread))["id"]
            with trio.fail_after(30):
                while True:
                    got = await live.ask(get(f"/v1/threads/{thread}/runs/{number}", key(KEYS[0])))
                    usage = json.loads(got.body)["usage"]
                    if usage is not None:
                        return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]
                    await trio.sleep(0.01)

        assistant = (await make("/assistants", model="fake-model", instructions=TEXT))["id"]
        threads = [(await make("/threads", messages=[{"role": "user", "content": text}]))["id"] for text in ("A", "B")]
        first = await used(threads[0])
        await make(f"/threads/{threads[0]}/messages", role="user", content="More, please.")
        second = await used(threads[0])
        elsewhere = await used(threads[1])
    assert first[1] == 0
    assert second[1] >= first[0] - 1
    assert (elsewhere[1] > 0) is not isolate
