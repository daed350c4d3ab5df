"""`suffix` in completions, and llama.cpp's /infill."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oxillama.server import ServerConfig, create_app
from tests.support.asgi_client import ASGIClient, Response
from tests.support.fake_engine import FakeEngine, FillingTokenizer

PREFIX, SUFFIX, MIDDLE, END = (3 + byte for byte in (0xF8, 0xF9, 0xFA, 0xFB))


def ids(text: str) -> tuple[int, ...]:
    return tuple(3 + byte for byte in text.encode())


def fills(**how: Any) -> FakeEngine:
    return FakeEngine(**{"reply": "a + b", "tokenizer": FillingTokenizer(), **how})


async def post(engine: FakeEngine, path: str, **body: Any) -> Response:
    app = create_app(ServerConfig(log_level="error", ping_interval=5.0), engine=engine)
    return await ASGIClient(app).post(path, json=body)


FIM = (1, PREFIX, *ids("def"), SUFFIX, *ids("end"), MIDDLE)


async def test_a_completion_with_a_suffix_fills_the_gap() -> None:
    engine = fills()
    for prompt in ("def", [*ids("def")]):
        answer = await post(engine, "/v1/completions", model="fake-model", prompt=prompt, suffix="end")
        assert answer.json()["choices"][0]["text"] == "a + b"

    assert [made.prompt_ids for made in engine.requests] == [FIM, FIM]
    assert engine.requests[0].sampling.stop_token_ids == {END}


async def test_an_empty_suffix_is_none() -> None:
    engine = fills()
    await post(engine, "/v1/completions", model="fake-model", prompt="def", suffix="")
    assert engine.requests[0].prompt_ids == (1, *ids("def"))
    assert engine.requests[0].sampling.stop_token_ids == frozenset()


async def test_echo_gives_back_the_prompt_and_not_the_tokens() -> None:
    answer = await post(fills(), "/v1/completions", model="fake-model", prompt="def", suffix="end", echo=True)
    assert answer.json()["choices"][0]["text"] == "defa + b"
    refused = await post(
        fills(), "/v1/completions", model="fake-model", prompt="def", suffix="end", echo=True, logprobs=1
    )
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "suffix")


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/completions", {"suffix": "x"}, "suffix"),
        ("/infill", {"input_suffix": "x"}, "input_suffix"),
        ("/infill", {}, "input_suffix"),
    ],
)
async def test_a_model_that_cannot_fill_in_is_a_400(path: str, body: dict[str, Any], param: str) -> None:
    engine = FakeEngine()
    refused = await post(engine, path, model="fake-model", **body)
    error = refused.json()["error"]
    assert (refused.status_code, error["param"], error["code"]) == (400, param, "unsupported_parameter")
    assert "its vocabulary has no tokens for filling in the middle" in error["message"]
    assert not engine.requests


async def test_infill_takes_what_editors_send() -> None:
    engine = fills()
    answer = await post(
        engine, "/infill", input_prefix="def", input_suffix="end", prompt="x", n_predict=64, top_k=40, top_p=0.9,
        samplers=["top_k", "top_p", "infill"], stream=False, cache_prompt=True, t_max_predict_ms=1000, n_indent=4,
        input_extra=[{"text": "y", "filename": "f.py", "time": 1}], response_fields=["content"],
    )  # fmt: skip

    found = answer.json()
    assert answer.status_code == 200
    assert {key: found[key] for key in ("index", "content", "stop", "stop_type", "tokens_predicted", "model")} == {
        "index": 0, "content": "a + b", "stop": True, "stop_type": "eos", "tokens_predicted": 6, "model": "fake-model",
    }  # fmt: skip
    assert found["tokens_evaluated"] == len(engine.requests[0].prompt_ids)
    assert found["timings"]["predicted_n"] == 6
    made = engine.requests[0]
    snippet = ids("\n\n--- snippet ---\n\ny")
    assert made.prompt_ids == (1, *snippet, PREFIX, *ids("def"), SUFFIX, *ids("end"), MIDDLE, *ids("x"))
    assert made.sampling.samplers == ("top_k", "top_p")
    assert (made.sampling.max_tokens, made.sampling.top_k) == (64, 40)
    assert made.sampling.stop_token_ids == {END}


async def test_a_stream_ends_with_stop() -> None:
    answer = await post(fills(), "/infill", input_prefix="def", input_suffix="end", stream=True)
    events = [json.loads(part.removeprefix("data: ")) for part in answer.text.split("\n\n") if part]
    assert "".join(event["content"] for event in events) == "a + b"
    assert [event["stop"] for event in events] == [False] * (len(events) - 1) + [True]
    assert events[-1]["tokens_predicted"] == 6
    assert "timings" not in events[0]


@pytest.mark.parametrize(
    ("body", "kind", "content"),
    [
        ({"n_predict": 2}, "limit", "a "),
        ({"stop": ["+"]}, "word", "a "),
        ({}, "eos", "a + b"),
        ({"n_predict": -1}, "eos", "a + b"),
    ],
)
async def test_the_answer_says_why_it_ended(body: dict[str, Any], kind: str, content: str) -> None:
    found = (await post(fills(), "/infill", input_prefix="x", input_suffix="y", **body)).json()
    assert (found["stop_type"], found["content"]) == (kind, content)


async def test_a_long_file_is_cut_to_the_context() -> None:
    engine = fills(n_ctx=100)
    answer = await post(engine, "/infill", input_prefix="p" * 500, input_suffix="s" * 500, n_predict=20)
    assert answer.status_code == 200
    prompt = engine.requests[0].prompt_ids
    assert len(prompt) == 80
    assert prompt.count(ids("s")[0]) == 19


async def test_a_completion_that_is_too_long_is_refused_and_not_cut() -> None:
    refused = await post(
        fills(n_ctx=100), "/v1/completions", model="fake-model", prompt="p" * 200, suffix="s" * 200
    )
    assert refused.json()["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input_prefix": 1}, "input_prefix"),
        ({"input_extra": [{"filename": "a"}]}, "input_extra[0].text"),
        ({"input_extra": "x"}, "input_extra"),
        ({"n_predict": -2}, "n_predict"),
        ({"n": 2}, "n"),
        ({"typical_p": 2}, "typical_p"),
        ({"model": "other"}, "model"),
    ],
)
async def test_a_wrong_value_is_refused(body: dict[str, Any], param: str) -> None:
    refused = await post(fills(), "/infill", **{"input_prefix": "a", "input_suffix": "b", **body})
    assert refused.status_code in (400, 404)
    assert refused.json()["error"]["param"] == param
