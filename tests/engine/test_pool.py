"""Engines by name: opened once, kept open while they are leased, closed with the pool."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import trio
import trio.testing

from oxillama.engine.api.config import PAGE_TOKENS, EngineConfig
from oxillama.engine.api.types import GenerationRequest, SamplingParams
from oxillama.engine.engine import Engine
from oxillama.engine.pool import EnginePool, ModelSource
from oxillama.errors import EngineClosedError, ModelFormatError, ObjectNotFoundError
from tests.support.tiny_models import tiny_model

SMALL = EngineConfig(n_threads=1, n_ctx=64, parallel=1)
REQUEST = GenerationRequest(prompt_ids=(1, 2, 3), sampling=SamplingParams(temperature=0.0, max_tokens=4))


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, ModelSource]:
    return {name: ModelSource(path=tiny_model(tmp_path / f"{name}.gguf"), config=SMALL) for name in ("one", "two")}


async def ids(engine: Engine) -> list[int | None]:
    async with engine.generate(REQUEST) as stream:
        return [event.token_id async for event in stream]


async def test_all_leases_of_a_name_share_one_engine(sources: dict[str, ModelSource]) -> None:
    leased: list[Engine] = []

    async def use() -> None:
        async with pool.lease("one") as engine:
            leased.append(engine)
            assert len(await ids(engine)) == 4

    async with EnginePool.open(sources) as pool:
        assert pool.names == ("one", "two")
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(use)
        async with pool.lease("two") as other:
            assert other not in leased
            assert other.is_running
    assert len(set(leased)) == 1
    assert not leased[0].is_running


async def test_a_leased_engine_reads_its_vocabulary_before_a_grammar_needs_it(
    sources: dict[str, ModelSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[Engine] = []

    async def prepare(engine: Engine) -> None:
        prepared.append(engine)

    monkeypatch.setattr(Engine, "prepare_grammars", prepare)
    async with EnginePool.open(sources) as pool, pool.lease("one") as engine:
        await trio.testing.wait_all_tasks_blocked()
        assert prepared == [engine]


async def test_nothing_is_loaded_before_it_is_leased(sources: dict[str, ModelSource], tmp_path: Path) -> None:
    missing = ModelSource(path=tmp_path / "missing.gguf")
    async with EnginePool.open(sources | {"missing": missing}) as pool, pool.lease("one") as engine:
        assert await ids(engine)


async def test_an_unknown_name_is_refused(sources: dict[str, ModelSource]) -> None:
    async with EnginePool.open(sources) as pool:
        with pytest.raises(ObjectNotFoundError, match="No model found with id 'three'"):
            async with pool.lease("three"):
                pass


async def test_a_loading_error_reaches_the_lease_and_the_next_one_tries_again(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"no model")
    async with EnginePool.open({"m": ModelSource(path=path, config=SMALL)}) as pool:
        with pytest.raises(ModelFormatError):
            async with pool.lease("m"):
                pass
        tiny_model(path)
        async with pool.lease("m") as engine:
            assert await ids(engine)


async def test_a_lease_cancelled_during_loading_leaves_the_model_to_the_next_one(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait(_: float) -> None:
        begun.set()
        assert go_on.wait(10)

    source = ModelSource(path=tiny_model(tmp_path / "m.gguf"), config=SMALL, progress=wait)
    async with EnginePool.open({"m": source}) as pool:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lease_once, pool)
                await trio.to_thread.run_sync(begun.wait, 10)
                scope.cancel()
                go_on.set()
        assert scope.cancelled_caught
        async with pool.lease("m") as engine:
            assert await ids(engine)


async def lease_once(pool: EnginePool) -> None:
    async with pool.lease("m"):
        pytest.fail("it was cancelled while it loaded")


async def test_an_engine_that_fails_ends_the_pool(
    sources: dict[str, ModelSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use() -> None:
        async with EnginePool.open(sources) as pool, pool.lease("one") as engine:
            monkeypatch.setattr(engine._stepper, "step", fail)
            with pytest.raises(EngineClosedError, match="broken"):
                await ids(engine)
            await trio.sleep_forever()

    def fail() -> None:
        raise RuntimeError("broken")

    with pytest.raises(EngineClosedError, match="the engine has failed: RuntimeError: broken"):
        await use()


async def test_a_closed_pool_leases_nothing(sources: dict[str, ModelSource]) -> None:
    async with EnginePool.open(sources) as pool:
        pass
    with pytest.raises(EngineClosedError):
        async with pool.lease("one"):
            pass


def test_the_size_of_a_page_is_the_core_s() -> None:
    from oxillama.core import _core

    assert PAGE_TOKENS == _core.PAGE_TOKENS
