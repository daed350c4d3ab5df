"""POST /v1/completions with the scripted engine."""

from __future__ import annotations

from typing import Any

import pytest

from oxillama.engine.api.types import TokenLogprob
from oxillama.server.apis.completions.writer import mean_logprob
from oxillama.server.generation.choices import EndedChoice
from tests.support.answers import error_of, events
from tests.support.asgi_client import ASGIClient, Response
from tests.support.fake_engine import FakeEngine


async def complete(client: ASGIClient, **fields: Any) -> Response:
    return await client.post("/v1/completions", json={"model": "fake-model", "prompt": "Once"} | fields)


def texts(response: Response) -> list[str]:
    assert response.status_code == 200
    choices = response.json()["choices"]
    assert [c["index"] for c in choices] == list(range(len(choices)))
    return [c["text"] for c in choices]


async def test_a_plain_answer_has_every_field(client: ASGIClient, engine: FakeEngine) -> None:
    body = (await complete(client)).json()
    assert body["id"].startswith("cmpl-")
    assert (body["object"], body["model"]) == ("text_completion", "fake-model")
    assert body["choices"] == [{"text": "Hello, world!", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    assert (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]) == (5, 14)
    assert engine.open == 0


async def test_sixteen_tokens_are_the_default(client: ASGIClient, engine: FakeEngine) -> None:
    engine.reply = "x" * 50
    assert texts(await complete(client)) == ["x" * 16]
    assert texts(await complete(client, max_tokens=None)) == ["x" * 16]
    assert texts(await complete(client, max_tokens=20)) == ["x" * 20]


@pytest.mark.parametrize(
    ("prompt", "seen"),
    [
        ("Once", [(1, 82, 113, 102, 104)]),
        (["a", "b"], [(1, 100), (1, 101)]),
        ([5, 6, 7], [(5, 6, 7)]),
        ([[5, 6], [7]], [(5, 6), (7,)]),
        (None, [(1,)]),
        ("", [(1,)]),
    ],
)
async def test_a_prompt_is_a_string_strings_tokens_or_lists_of_tokens(
    client: ASGIClient, engine: FakeEngine, prompt: Any, seen: list[tuple[int, ...]]
) -> None:
    assert len(texts(await complete(client, prompt=prompt))) == len(seen)
    assert [r.prompt_ids for r in engine.requests] == seen


async def test_choices_are_ordered_by_prompt(client: ASGIClient, engine: FakeEngine) -> None:
    engine.reply = lambda request: f"{engine.prompt_text(request)}{request.sampling.seed}"
    response = await complete(client, prompt=["a", "b"], n=2, seed=1)
    assert texts(response) == ["a1", "a2", "b1", "b2"]
    assert response.json()["usage"]["prompt_tokens"] == 4


async def test_best_of_returns_the_likeliest_and_counts_all(
    client: ASGIClient, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.reply = lambda request: str(request.sampling.seed)
    likelihood = {10: -3.0, 11: -1.0, 12: -2.0}
    monkeypatch.setattr(
        "oxillama.server.apis.completions.writer.mean_logprob", lambda generated: likelihood[int(generated.text)]
    )
    response = await complete(client, n=2, best_of=3, seed=10)
    assert texts(response) == ["11", "12"]
    assert response.json()["choices"][0]["logprobs"] is None
    assert response.json()["usage"]["completion_tokens"] == 9


def test_candidates_are_ranked_by_the_mean_over_their_tokens() -> None:
    def generated(*values: float) -> EndedChoice:
        return EndedChoice("", "stop", tuple(TokenLogprob(0, b"", v) for v in values))

    assert mean_logprob(generated(-1.0, -2.0)) == -1.5
    assert mean_logprob(generated(-1.0, -1.0, -1.0)) > mean_logprob(generated(-1.5))
    assert mean_logprob(generated(float("nan"))) == float("-inf")


async def test_echo_puts_the_prompt_before_the_text(client: ASGIClient) -> None:
    assert texts(await complete(client, echo=True)) == ["OnceHello, world!"]
    assert texts(await complete(client, echo=True, prompt=[82, 113])) == ["OnHello, world!"]


async def test_echo_without_tokens_scores_the_prompt(client: ASGIClient) -> None:
    response = await complete(client, echo=True, max_tokens=0, logprobs=1, prompt=[82, 113])
    choice = response.json()["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == ("On", "length")
    assert choice["logprobs"] == {
        "tokens": ["O", "n"],
        "token_logprobs": [None, -0.5],
        "top_logprobs": [None, {"n": -0.5}],
        "text_offset": [0, 1],
    }


async def test_offsets_fit_a_text_that_lacks_the_blank_its_tokens_begin_with(
    client: ASGIClient, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def encode(text: str, **_: bool) -> list[int]:
        return engine.tokenizer.encode(f" {text}")

    monkeypatch.setattr(engine, "encode", encode)
    logprobs = (await complete(client, prompt="ab", echo=True, logprobs=0, max_tokens=1)).json()["choices"][0][
        "logprobs"
    ]
    assert logprobs["tokens"] == ["", " ", "a", "b", "H"]
    assert logprobs["text_offset"] == [0, 0, 0, 1, 2]


async def test_logprobs_are_four_lists_with_offsets_from_the_start_of_the_prompt(
    client: ASGIClient, engine: FakeEngine
) -> None:
    engine.reply = "hé!"
    logprobs = (await complete(client, logprobs=2)).json()["choices"][0]["logprobs"]
    assert logprobs["tokens"] == ["h", "bytes:\\xc3", "bytes:\\xa9", "!"]
    assert logprobs["text_offset"] == [4, 5, 5, 6]
    assert logprobs["token_logprobs"] == [-0.5] * 4
    assert all(len(top) == 2 for top in logprobs["top_logprobs"])


@pytest.mark.parametrize(
    "fields", [{}, {"echo": True}, {"echo": True, "logprobs": 1}, {"logprobs": 0}, {"n": 3, "seed": 4}]
)
async def test_a_stream_adds_up_to_the_whole_answer(client: ASGIClient, fields: dict[str, Any]) -> None:
    whole = (await complete(client, **fields)).json()
    found = events(await complete(client, **fields, stream=True))
    assert found[-1] == "[DONE]"
    assert {c["object"] for c in found[:-1]} == {"text_completion"}
    count = len(whole["choices"])
    assert [c["choices"][0]["index"] for c in found[:count]] == list(range(count))
    for choice in whole["choices"]:
        own = [c["choices"][0] for c in found[:-1] if c["choices"][0]["index"] == choice["index"]]
        assert "".join(c["text"] for c in own) == choice["text"]
        assert [c["finish_reason"] for c in own] == [None] * (len(own) - 1) + ["stop"]
        if choice["logprobs"] is not None:
            parts = [c["logprobs"] for c in own if c["logprobs"]]
            joined = {key: [v for part in parts for v in part[key]] for key in choice["logprobs"]}
            assert joined == choice["logprobs"]


async def test_streamed_usage_is_last(client: ASGIClient) -> None:
    *chunks, last, _ = events(await complete(client, stream=True, stream_options={"include_usage": True}))
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 19
    assert all(c["usage"] is None for c in chunks)


async def test_a_failure_in_the_middle_of_a_stream_is_an_error_event(client: ASGIClient, engine: FakeEngine) -> None:
    engine.fail_at = 1
    found = events(await complete(client, stream=True))
    assert found[-1]["error"]["type"] == "server_error"
    assert "[DONE]" not in found


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"prompt": []}, "prompt", "empty_array"),
        ({"prompt": [[]]}, "prompt[0]", "empty_array"),
        ({"prompt": [[1], []]}, "prompt[1]", "empty_array"),
        ({"prompt": [1, "a"]}, "prompt[1]", "invalid_type"),
        ({"prompt": ["a", 1]}, "prompt[1]", "invalid_type"),
        ({"prompt": [[1, 2.5]]}, "prompt[0][1]", "invalid_type"),
        ({"prompt": [True]}, "prompt[0]", "invalid_type"),
        ({"prompt": [{}]}, "prompt[0]", "invalid_type"),
        ({"prompt": 5}, "prompt", "invalid_type"),
        ({"prompt": [-1]}, "prompt[0]", "integer_below_min_value"),
        ({"prompt": [[3, 259]]}, "prompt[0][1]", "integer_above_max_value"),
        ({"prompt": [10**30]}, "prompt[0]", None),
        ({"prompt": [3] * 3000}, "prompt", "context_length_exceeded"),
        ({"prompt": "x" * 3000}, "prompt", "context_length_exceeded"),
        ({"prompt": [3] * 2048}, "prompt", "context_length_exceeded"),
        ({"prompt": "x" * 2047}, "prompt", "context_length_exceeded"),
        ({"prompt": ["x"] * 129}, "prompt", "array_above_max_length"),
        ({"prompt": ["x"] * 65, "n": 2}, "prompt", "array_above_max_length"),
        ({"best_of": 1, "n": 2}, "best_of", "integer_below_min_value"),
        ({"best_of": 21}, "best_of", "integer_above_max_value"),
        ({"best_of": 0}, "best_of", "integer_below_min_value"),
        ({"best_of": 3, "stream": True}, "best_of", "invalid_value"),
        ({"suffix": "end"}, "suffix", "unsupported_parameter"),
        ({"logprobs": 6}, "logprobs", "integer_above_max_value"),
        ({"logprobs": True}, "logprobs", "invalid_type"),
        ({"max_tokens": -1}, "max_tokens", "integer_below_min_value"),
        ({"echo": "yes"}, "echo", "invalid_type"),
    ],
)  # fmt: skip
async def test_parameters_that_cannot_be_honoured_are_400_with_their_path(
    client: ASGIClient, engine: FakeEngine, fields: dict[str, Any], param: str, code: str | None
) -> None:
    response = await complete(client, **fields)
    assert response.status_code == 400
    error = error_of(response)
    assert error["param"] == param
    assert code is None or error["code"] == code
    assert engine.requests == []


async def test_best_of_equal_to_n_may_stream(client: ASGIClient) -> None:
    assert events(await complete(client, best_of=2, n=2, stream=True))[-1] == "[DONE]"
