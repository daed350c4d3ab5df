"""A trained model through the real core: the published text on every isa."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trio

import oxillama
from oxillama import EngineConfig, SamplingParams
from oxillama.core._core import available_isas
from tests.support.shared import shared

STORY = """Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she \
saw a big, red ball. She wanted to play with it, but it was too high.
Lily's mom said, "Lily, let's go to the park." Lily was sad and didn't know what to do. She said, "I want to play with \
your ball, but I can't find it."
Lily was sad and didn't know what to do. She said, "I'm sorry, Lily. I didn't know what to do."
Lily didn't want to help her mom, so she"""
GREEDY = SamplingParams(temperature=0.0, max_tokens=200)

BOTH_WAYS = """
import sys, trio, oxillama
from oxillama.core import _core
greedy = oxillama.SamplingParams(temperature=0.0, max_tokens=200)
with oxillama.Model(sys.argv[1], n_threads=2) as model:
    in_place = "".join(model.generate("", greedy))

async def main():
    async with oxillama.Engine.open(sys.argv[1], oxillama.EngineConfig(n_threads=2)) as engine:
        ids = tuple(await engine.encode(""))
        async with engine.generate(oxillama.GenerationRequest(prompt_ids=ids, sampling=greedy)) as stream:
            return "".join([event.text async for event in stream])

served = trio.run(main)
print(_core.isa(), in_place, served, sep="\\0", end="")
"""


@pytest.fixture(scope="module")
def path() -> Path:
    return shared("models/stories260K.gguf")


@pytest.mark.parametrize("isa", available_isas())
def test_every_isa_generates_the_published_story_directly_and_served(isa: str, path: Path) -> None:
    env = {**os.environ, "OXILLAMA_ISA": isa}
    out = subprocess.run([sys.executable, "-c", BOTH_WAYS, str(path)], capture_output=True, text=True, env=env)
    assert out.stderr == ""
    assert out.stdout.split("\0") == [isa, STORY, STORY]


def test_logits_are_those_of_the_reference(path: Path) -> None:
    known = np.load(shared("models/stories260K.npz"))
    with oxillama.Model(path) as model:
        logits = model.logits(known["tokens"])
    error = float(((logits - known["logits"]) ** 2).mean() / (known["logits"] ** 2).mean())
    assert error < 1e-9


def test_prompts_cut_into_chunks_give_the_same_story(path: Path) -> None:
    with oxillama.Model(path, n_batch=3) as model:
        start = "Once upon a time, there was a little girl named Lily."
        text = start + "".join(model.generate(start, SamplingParams(temperature=0.0, max_tokens=30)))
    assert len(text) > len(start) + 30
    assert STORY.startswith(text)


def test_embeddings_of_a_text_have_the_models_width(path: Path) -> None:
    with oxillama.Model(path) as model:
        ids = model.tokenize("Once upon a time")
        states = model.embed(ids, pooling="none", normalize=False)
        assert states.shape == (len(ids), 64)
        mean = model.embed("Once upon a time", normalize=False)
        np.testing.assert_allclose(mean, states.mean(axis=0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(model.embed(ids, pooling="last", normalize=False), states[-1], rtol=1e-4, atol=1e-5)


async def test_the_engine_knows_its_model(path: Path) -> None:
    seen: list[float] = []
    async with oxillama.Engine.open(path, EngineConfig(parallel=2, n_ctx=100), progress=seen.append) as engine:
        assert (engine.model_name, engine.n_ctx, engine.n_slots) == ("stories260K", 100, 2)
        assert engine.model_created == int(path.stat().st_mtime)
        assert await engine.encode("Once upon a time") == [1, 403, 407, 261, 378]
        hello = [{"role": "user", "content": "hello"}]
        assert "hello" in (await engine.with_template(lambda template: template.render(hello))).text
    assert seen[-1] == 1.0


def test_fewer_pages_than_a_context_shorten_it(path: Path) -> None:
    async def main() -> int:
        async with oxillama.Engine.open(path, EngineConfig(kv_pages=3)) as engine:
            return engine.n_ctx

    assert trio.run(main) == 96


def test_a_missing_file_is_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        oxillama.Model(tmp_path / "absent.gguf")
