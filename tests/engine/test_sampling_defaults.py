"""Sampling values come from the request, else from settings, else from the model's file, else from the defaults."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama import Engine, EngineConfig, Model, SamplingParams
from oxillama.core._core import sampler_steps
from oxillama.engine.api.samplers import SAMPLERS, sampler_order
from oxillama.engine.api.sampling import SamplerSettings, file_sampling
from oxillama.engine.api.types import GenerationRequest, SamplerParams
from oxillama.engine.decoding.sampling import RequestSampler
from oxillama.engine.decoding.vocabulary import Vocabulary
from oxillama.errors import InvalidParameterError
from oxillama.gguf import GGUFFile
from tests.sample.reference import choose
from tests.support.fake_engine import FakeEngine
from tests.support.tiny_models import TinyModel

F32, I32 = np.float32, np.int32


def model_file(path: Path, **sampling: Any) -> Path:
    """A model file with these recommendations."""
    model = TinyModel("llama")
    model.metadata |= {f"general.sampling.{key}": value for key, value in sampling.items()}
    model.write(path)
    return path


def test_without_settings_the_defaults_of_llama_cpp_apply() -> None:
    assert SamplerSettings() == SamplerSettings(
        temperature=0.8, top_k=40, top_p=0.95, min_p=0.05, repeat_penalty=1.0, repeat_last_n=64,
        frequency_penalty=0.0, presence_penalty=0.0, typical_p=1.0, top_n_sigma=0.0, xtc_probability=0.0,
        xtc_threshold=0.1, dry_multiplier=0.0, dry_base=1.75, dry_allowed_length=2, dry_penalty_last_n=64, mirostat=0,
        mirostat_tau=5.0, mirostat_eta=0.1, dynatemp_range=0.0, dynatemp_exponent=1.0,
    )  # fmt: skip
    assert FakeEngine().sampling_defaults == SamplerSettings()


def test_a_given_value_replaces_only_that_default_even_if_it_is_zero() -> None:
    settings = SamplerSettings().with_params(SamplerParams(temperature=0.0, top_k=0))

    assert settings == SamplerSettings(temperature=0.0, top_k=0)
    assert settings.with_params(SamplingParams(top_k=5, max_tokens=3)) == SamplerSettings(temperature=0.0, top_k=5)
    assert settings.with_params(None) == settings


def test_all_keys_that_converters_write_are_read(tmp_path: Path) -> None:
    path = model_file(
        tmp_path / "m.gguf",
        temp=F32(0.6), top_k=I32(20), top_p=F32(0.95), min_p=F32(0.01), penalty_repeat=F32(1.05),
        penalty_last_n=I32(-1), xtc_probability=F32(0.5), xtc_threshold=F32(0.2), mirostat=I32(2),
        mirostat_tau=F32(4.0), mirostat_eta=F32(0.2), sequence="top_k;typ_p;temperature",
    )  # fmt: skip

    assert file_sampling(GGUFFile(path)) == SamplerParams(
        temperature=0.6, top_k=20, top_p=0.95, min_p=0.01, repeat_penalty=1.05, repeat_last_n=-1, xtc_probability=0.5,
        xtc_threshold=0.2, mirostat=2, mirostat_tau=4.0, mirostat_eta=0.2,
        samplers=("top_k", "typical_p", "temperature"),
    )  # fmt: skip


LLAMA_CPP = ("penalties", "dry", "top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc", "temperature")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature", LLAMA_CPP),
        ("edskypmxt", LLAMA_CPP),
        ("temp", ("temperature",)),
        ("t", ("temperature",)),
        ("Top-K, topp , nucleusx", None),
        ("top_k;top-k", None),
        ("kk", None),
        ("", ()),
    ],
)
def test_an_order_of_samplers_is_written_as_in_llama_cpp(text: str, names: tuple[str, ...] | None) -> None:
    if names is not None:
        assert sampler_order(text) == names
        return
    with pytest.raises(InvalidParameterError, match="samplers"):
        sampler_order(text)


def test_the_names_are_those_of_the_core() -> None:
    assert sampler_steps() == SAMPLERS


async def test_request_over_settings_over_file_over_defaults(tmp_path: Path) -> None:
    path = model_file(tmp_path / "m.gguf", temp=F32(0.6), top_k=I32(20), top_p=F32(0.5))
    from_file = SamplerSettings(temperature=0.6, top_k=20, top_p=0.5)

    with Model(path) as model:
        assert model.sampling_defaults == from_file
    with Model(path, sampling=SamplerParams(top_k=7)) as model:
        assert model.sampling_defaults == replace(from_file, top_k=7)
    config = EngineConfig(sampling=SamplerParams(top_k=7, min_p=0.0))
    async with Engine.open(path, config) as engine:
        assert engine.sampling_defaults == SamplerSettings(temperature=0.6, top_k=7, top_p=0.5, min_p=0.0)


def test_the_defaults_reach_the_sampler(tmp_path: Path) -> None:
    """A file that recommends greedy sampling: two generations agree by default, but not with another temperature."""
    greedy = model_file(tmp_path / "greedy.gguf", temp=F32(0.0))
    with Model(greedy) as model:
        silent = [[e.token_id for e in model.events([1, 2, 3], SamplingParams(max_tokens=40))] for _ in range(2)]
        hot = SamplingParams(max_tokens=40, temperature=50.0, top_k=0, top_p=1.0, min_p=0.0)
        sampled = [[e.token_id for e in model.events([1, 2, 3], hot)] for _ in range(2)]
    assert silent[0] == silent[1]
    assert sampled[0] != sampled[1]


def test_penalties_from_the_defaults_see_the_prompt() -> None:
    settings = SamplerSettings(temperature=0.0, repeat_penalty=100.0, repeat_last_n=2)
    row = np.array([1.0, 3.0, 2.0, 2.5], np.float32)

    def choice(prompt: tuple[int, ...]) -> int:
        sampler = RequestSampler(settings, GenerationRequest(prompt_ids=prompt), Vocabulary(None, 4))
        return choose(row, sampler.core)[0]

    assert choice((0, 0)) == 1
    assert choice((1, 0)) == 3  # 1 has been used
    assert choice((1, 0, 0)) == 1  # outside the window of the penalties


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("top_p", F32(7.0), "7"),
        ("min_p", F32(-0.5), "-0.5"),
        ("temp", F32(np.nan), "finite"),
        ("temp", "hot", "str"),
        ("penalty_repeat", F32(0.0), "repeat_penalty"),
        ("penalty_last_n", I32(-2), "repeat_last_n"),
        ("mirostat", I32(3), "mirostat"),
        ("xtc_probability", F32(1.5), "xtc_probability"),
        ("sequence", "top_k;top_q", "top_q"),
        ("sequence", I32(1), "sequence"),
    ],
)
def test_an_invalid_recommendation_is_logged_and_ignored(
    key: str, value: Any, complaint: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = model_file(tmp_path / "m.gguf", top_k=I32(3), **{key: value})

    with caplog.at_level(logging.WARNING):
        assert file_sampling(GGUFFile(path)) == SamplerParams(top_k=3)

    [line] = [record.getMessage() for record in caplog.records]
    assert f"general.sampling.{key}" in line
    assert complaint in line


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("temp", F32(-1.0), {"temperature": 0.0}),  # llama.cpp: greedy
        ("top_k", I32(-1), {"top_k": 0}),  # all
        ("top_k", F32(40.0), {"top_k": 40}),  # a number of another type
        ("temp", I32(1), {"temperature": 1}),
        ("mirostat", I32(0), {"mirostat": 0}),
        ("sequence", "kt", {"samplers": ("top_k", "temperature")}),
        ("sequence", "", {}),
    ],
)
def test_metadata_variants_of_other_tools_mean_the_same(
    key: str, value: Any, expected: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = model_file(tmp_path / "m.gguf", **{key: value})

    assert file_sampling(GGUFFile(path)) == SamplerParams(**expected)
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "value"), [("temperature", -0.1), ("top_p", 1.5), ("min_p", float("nan")), ("repeat_last_n", -2)]
)
def test_a_setting_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        SamplerParams(**{name: value})  # type: ignore[arg-type]
    assert refused.value.param == name
