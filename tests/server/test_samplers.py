"""Sampler parameters of requests and settings reach the engine by the same names."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from oxillama.engine.api.samplers import SAMPLERS
from oxillama.engine.api.types import SAMPLER_BOUNDS, SamplerParams
from oxillama.errors import InvalidParameterError
from oxillama.server.backend import model_source
from oxillama.server.config import ServerConfig, load_config
from oxillama.server.generation.sampling import SamplingFields
from oxillama.server.wire.fields import SamplerFields
from tests.support.asgi_client import ASGIClient
from tests.support.fake_engine import FakeEngine

VALUES: dict[str, Any] = {
    "dynatemp_range": 0.5, "dynatemp_exponent": 2.0, "typical_p": 0.9, "top_a": 0.2, "top_n_sigma": 1.5,
    "epsilon_cutoff": 0.001, "eta_cutoff": 0.002, "xtc_probability": 0.5, "xtc_threshold": 0.05, "dry_multiplier": 0.8,
    "dry_base": 1.5, "dry_allowed_length": 3, "dry_penalty_last_n": -1, "mirostat": 2, "mirostat_tau": 4.0,
    "mirostat_eta": 0.2, "samplers": ["typ_p", "penalties", "temperature"], "dry_sequence_breakers": ["\n", "x"],
}  # fmt: skip
KINDS: dict[str, Any] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/completions": {"prompt": "Hi"},
}


def expected(name: str) -> Any:
    if name == "samplers":
        return ("typical_p", "penalties", "temperature")
    return tuple(VALUES[name]) if isinstance(VALUES[name], list) else VALUES[name]


@pytest.mark.parametrize("path", KINDS)
async def test_a_requests_values_reach_the_engine(client: ASGIClient, engine: FakeEngine, path: str) -> None:
    body = {"model": "fake-model", **KINDS[path], **VALUES, "banned_strings": ["a", "bc"]}

    assert (await client.post(path, json=body)).status_code == 200

    sampling = engine.requests[-1].sampling
    assert {name: getattr(sampling, name) for name in VALUES} == {name: expected(name) for name in VALUES}
    assert sampling.banned_strings == ("a", "bc")


def test_every_sampler_parameter_is_a_field_of_requests_and_settings() -> None:
    names = {field.name for field in fields(SamplerParams)}
    assert names <= set(SamplingFields.__struct_fields__)
    assert names <= set(ServerConfig.__struct_fields__)
    assert set(SamplerFields.__struct_fields__) < set(SAMPLER_BOUNDS) < names


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"65": 1.5, "7": False}, {65: 1.5, 7: -math.inf}),
        ({"ab": 2, "é": False}, {"ab": 2.0, "é": -math.inf}),
        ([[65, 1], ["65", -1.5], [65, 2]], {65: 3.0, "65": -1.5}),
        ([["a", False]], {"a": -math.inf}),
        ([], {}),
        (None, {}),
    ],
)
async def test_a_bias_is_for_a_token_or_for_each_token_of_a_text(
    client: ASGIClient, engine: FakeEngine, given: Any, found: dict[Any, float]
) -> None:
    body = {"model": "fake-model", "prompt": "Hi", "logit_bias": given}
    assert (await client.post("/v1/completions", json=body)).status_code == 200
    assert engine.requests[-1].sampling.logit_bias == found


@pytest.mark.parametrize(
    ("field", "value", "param", "words"),
    [
        ("typical_p", 1.5, "typical_p", "Expected a value <= 1"),
        ("mirostat", 3, "mirostat", "Expected a value <= 2"),
        ("samplers", ["top_q"], "samplers[0]", "Invalid value: 'top_q'. Supported values are: 'dry', 'epsilon"),
        ("samplers", ["top_k", "top_k"], "samplers", "'top_k' is there twice"),
        ("banned_strings", ["\ufffd"], "banned_strings", "cannot be banned"),
        ("logit_bias", {"259": 1}, "logit_bias.259", "Expected a value <= 258"),
        ("logit_bias", {"a": True}, "logit_bias.a", "Invalid value: 'true'. Supported values are: 'false'"),
        ("logit_bias", [[300, 1]], "logit_bias[0]", "Expected a value <= 258"),
        ("logit_bias", [["", 1]], "logit_bias[0]", "Expected a string with minimum length 1"),
        ("logit_bias", {"a": 101}, "logit_bias.a", "Expected a value <= 100"),
        ("logit_bias", [["a", 101]], "logit_bias[0][1]", "Expected a value <= 100"),
        ("logit_bias", [["a"]], "logit_bias[0]", "2"),
    ],
)
async def test_a_wrong_value_is_one_clear_400(
    client: ASGIClient, field: str, value: Any, param: str, words: str
) -> None:
    answer = await client.post("/v1/completions", json={"model": "fake-model", "prompt": "Hi", field: value})

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param
    assert words in error["message"]


def test_settings_reach_the_engines_configuration(tmp_path: Path) -> None:
    lines = [f"{name} = {value!r}" for name, value in VALUES.items() if not isinstance(value, list)]
    file = tmp_path / "oxillama.toml"
    file.write_text("\n".join([*lines, "samplers = 'typ_p;penalties;temp'", "dry_sequence_breakers = ['\\n', 'x']"]))
    file.write_text(file.read_text().replace("'\\n'", '"\\n"'))

    sampling = model_source(load_config(file, env={}, model="m.gguf")).config.sampling

    assert sampling is not None
    assert {name: getattr(sampling, name) for name in VALUES} == {name: expected(name) for name in VALUES}


def test_variables_name_lists_too() -> None:
    env = {"OXILLAMA_SAMPLERS": "kt", "OXILLAMA_DRY_SEQUENCE_BREAKERS": "a, b", "OXILLAMA_TOP_N_SIGMA": "-1"}
    sampling = model_source(load_config(env=env, model="m.gguf")).config.sampling
    assert sampling is not None
    assert (sampling.samplers, sampling.dry_sequence_breakers) == (("top_k", "temperature"), ("a", "b"))
    assert sampling.top_n_sigma == 0


def test_an_unknown_sampler_in_the_settings_stops_the_start() -> None:
    with pytest.raises(InvalidParameterError, match=f"'top_q' is not a sampler. Known are: {', '.join(SAMPLERS)}"):
        model_source(load_config(env={}, model="m.gguf", samplers="top_k;top_q"))
