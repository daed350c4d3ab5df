"""POST /v1/chat/completions with the scripted engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.answers import chat, error_of, events
from tests.support.asgi_client import ASGIClient
from tests.support.fake_engine import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.server import Application


async def test_a_plain_answer_has_every_field(client: ASGIClient, engine: FakeEngine) -> None:
    response = await chat(client)
    assert response.status_code == 200
    body = response.json()
    assert body["id"].startswith("chatcmpl-")
    assert len(body["id"]) == len("chatcmpl-") + 29
    assert (body["object"], body["model"]) == ("chat.completion", "fake-model")
    assert body["system_fingerprint"].startswith("fp_")
    message: dict[str, Any] = {"role": "assistant", "content": "Hello, world!", "refusal": None, "annotations": []}
    assert body["choices"] == [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    prompt = len(engine.requests[0].prompt_ids)
    usage = body["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (prompt, 14, prompt + 14)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 0
    assert engine.open == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_timings_give_the_speed_of_prefill_and_decode(
    make_app: Callable[..., Application], engine: FakeEngine, autojump_clock: trio.testing.MockClock, stream: bool
) -> None:
    engine.prefill_s, engine.delay_s = 0.4, 0.1
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    response = await chat(ASGIClient(make_app()), **options)
    timings = (events(response)[-2] if stream else response.json())["timings"]
    prompt = len(engine.requests[0].prompt_ids)
    assert (timings["cache_n"], timings["prompt_n"], timings["predicted_n"]) == (0, prompt, 14)
    assert timings["predicted_per_second"] == pytest.approx(10)
    assert timings["predicted_ms"] == pytest.approx(1300)
    assert timings["prompt_per_second"] == pytest.approx(prompt / 0.5)


async def test_one_token_has_no_speed(client: ASGIClient) -> None:
    timings = (await chat(client, max_tokens=1)).json()["timings"]
    assert timings["predicted_per_second"] is None


async def test_the_prompt_is_the_rendered_template_with_one_beginning_token(
    client: ASGIClient, engine: FakeEngine
) -> None:
    await chat(client)
    assert engine.prompt_text(engine.requests[0]) == "<user>Hi</user><assistant>"
    assert engine.requests[0].prompt_ids[0] == 1
    assert engine.requests[0].prompt_ids.count(1) == 1


async def test_a_stream_has_role_text_finish_reason_and_done_in_order(client: ASGIClient) -> None:
    found = events(await chat(client, stream=True))
    assert found[-1] == "[DONE]"
    chunks = found[:-1]
    assert {c["object"] for c in chunks} == {"chat.completion.chunk"}
    assert len({(c["id"], c["created"], c["model"]) for c in chunks}) == 1
    assert all("usage" not in c for c in chunks)
    deltas = [c["choices"][0]["delta"] for c in chunks]
    assert deltas[0] == {"role": "assistant", "content": "", "refusal": None}
    assert deltas[-1] == {}
    assert all(set(d) == {"content"} for d in deltas[1:-1])
    assert "".join(d["content"] for d in deltas[1:-1]) == "Hello, world!"
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None] * (len(chunks) - 1) + ["stop"]


async def test_usage_is_the_very_last_chunk_and_null_before(client: ASGIClient) -> None:
    found = events(await chat(client, stream=True, stream_options={"include_usage": True}))
    *chunks, last, done = found
    assert done == "[DONE]"
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 14
    assert all(c["usage"] is None and len(c["choices"]) == 1 for c in chunks)


@pytest.mark.parametrize("stream", [False, True])
async def test_several_choices_share_the_prompt_and_are_in_order(
    client: ASGIClient, engine: FakeEngine, stream: bool
) -> None:
    engine.reply = lambda request: f"answer {request.sampling.seed}"
    response = await chat(client, n=3, seed=7, stream=stream)
    assert len({r.prompt_ids for r in engine.requests}) == 1
    if stream:
        found = events(response)[:-1]
        assert [c["choices"][0]["index"] for c in found[:3]] == [0, 1, 2]
        assert all(c["choices"][0]["delta"].get("role") for c in found[:3])
        texts = [
            "".join(c["choices"][0]["delta"].get("content", "") for c in found if c["choices"][0]["index"] == i)
            for i in range(3)
        ]
    else:
        body = response.json()
        assert [c["index"] for c in body["choices"]] == [0, 1, 2]
        assert body["usage"]["prompt_tokens"] == len(engine.requests[0].prompt_ids)
        texts = [c["message"]["content"] for c in body["choices"]]
    assert texts == ["answer 7", "answer 8", "answer 9"]


async def test_stop_strings_end_the_text_and_are_not_in_it(client: ASGIClient) -> None:
    body = (await chat(client, stop=["zzz", "wor"])).json()
    assert body["choices"][0]["message"]["content"] == "Hello, "
    assert body["choices"][0]["finish_reason"] == "stop"


async def test_as_many_stop_strings_as_editors_send_are_accepted(client: ASGIClient, engine: FakeEngine) -> None:
    stops = [f"<{n}>" for n in range(63)]
    body = (await chat(client, stop=[*stops, "wor"])).json()
    assert body["choices"][0]["message"]["content"] == "Hello, "
    refused = error_of(await chat(client, stop=[*stops, "a", "b"]))
    assert (refused["param"], refused["code"]) == ("stop", "array_above_max_length")


@pytest.mark.parametrize(
    "fields", [{"max_tokens": 3}, {"max_completion_tokens": 3}, {"max_completion_tokens": 3, "max_tokens": 9}]
)
async def test_the_token_limit_ends_with_length(client: ASGIClient, fields: dict[str, int]) -> None:
    body = (await chat(client, **fields)).json()
    assert body["choices"][0]["message"]["content"] == "Hel"
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 3


async def test_without_a_limit_the_context_is_the_bound(client: ASGIClient, engine: FakeEngine) -> None:
    body = (await chat(client, ignore_eos=True)).json()
    assert body["usage"]["total_tokens"] == engine.n_ctx
    assert body["choices"][0]["finish_reason"] == "length"


async def test_every_sampling_field_reaches_the_engine(client: ASGIClient, engine: FakeEngine) -> None:
    given = {
        "temperature": 0.5, "top_p": 0.25, "top_k": 7, "min_p": 0.125, "repeat_penalty": 1.5, "repeat_last_n": 9,
        "frequency_penalty": -1, "presence_penalty": 2, "seed": -5, "min_tokens": 2, "ignore_eos": True,
    }  # fmt: skip
    response = await chat(
        client, **given, max_tokens=5, logit_bias={"5": -100, "0": 1.5}, logprobs=True, top_logprobs=2,
        cache_prompt=False,
    )  # fmt: skip
    assert response.status_code == 200
    request = engine.requests[0]
    for name, value in given.items():
        assert getattr(request.sampling, name) == value, name
    assert request.sampling.logit_bias == {5: -100.0, 0: 1.5}
    assert request.sampling.logprobs == 2
    assert request.sampling.max_tokens == 5
    assert request.cache_prompt is False


async def test_settings_that_a_request_lacks_come_from_the_model(client: ASGIClient, engine: FakeEngine) -> None:
    await chat(client)
    assert engine.sampling_defaults.with_params(engine.requests[0].sampling) == engine.sampling_defaults


async def test_logprobs_name_the_tokens_of_the_text_with_their_bytes(client: ASGIClient, engine: FakeEngine) -> None:
    engine.reply = "hé"
    body = (await chat(client, logprobs=True, top_logprobs=2)).json()
    content = body["choices"][0]["logprobs"]["content"]
    assert [t["bytes"] for t in content] == [[104], [195], [169]]
    assert content[0]["token"] == "h"
    assert all(t["logprob"] == -0.5 and len(t["top_logprobs"]) == 2 for t in content)
    assert body["choices"][0]["logprobs"]["refusal"] is None


async def test_streamed_logprobs_are_those_of_the_whole_answer(client: ASGIClient) -> None:
    whole = (await chat(client, logprobs=True, top_logprobs=1)).json()
    found = events(await chat(client, logprobs=True, top_logprobs=1, stream=True))
    streamed = [t for c in found[:-1] for t in (c["choices"][0]["logprobs"] or {"content": []})["content"]]
    assert streamed == whole["choices"][0]["logprobs"]["content"]


async def test_impossible_tokens_get_the_apis_value_for_very_unlikely(
    client: ASGIClient, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.fake_engine.PIECE_LOGPROB", float("-inf"))
    body = (await chat(client, logprobs=True)).json()
    assert body["choices"][0]["logprobs"]["content"][0]["logprob"] == -9999.0


async def test_messages_of_every_role_reach_the_template(client: ASGIClient, engine: FakeEngine) -> None:
    seen: list[Any] = []
    real = engine.chat_template.render
    engine.chat_template.render = lambda messages, **kw: seen.append((messages, kw)) or real(messages, **kw)
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    messages = [
        {"role": "developer", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "me"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "42"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "user", "content": "go on"},
    ]
    response = await chat(
        client, messages=messages, chat_template_kwargs={"enable_thinking": False}, reasoning_effort="low"
    )
    assert response.status_code == 200
    rendered, kwargs = seen[-1]  # the renderings before it probe the template
    assert rendered == [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "a\nb", "name": "me"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}],
        },
        {"role": "tool", "content": "42", "name": "f", "tool_call_id": "call_1"},
        {"role": "assistant", "content": "no"},
        {"role": "user", "content": "go on"},
    ]
    switches = {"enable_thinking": False, "thinking": False, "reasoning_effort": "low"}
    assert kwargs == {"add_generation_prompt": True} | switches


async def test_reasoning_and_older_calls_reach_the_prompt(client: ASGIClient, engine: FakeEngine) -> None:
    function = {"name": "f", "arguments": '{"a": 1}'}
    messages = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": None, "function_call": function},
        {"role": "function", "name": "f", "content": "42"},
        {"role": "assistant", "content": "done", "reasoning_content": "it was 42"},
        {"role": "user", "content": "v"},
    ]
    assert (await chat(client, messages=messages)).status_code == 200
    prompt = engine.prompt_text(engine.requests[0])
    found = [prompt.index(part) for part in ('"name": "f"', '"a": 1', "42", "it was 42", "done")]
    assert found == sorted(found)


HARMLESS: dict[str, Any] = {
    "service_tier": "auto", "store": True, "prompt_cache_key": "k", "safety_identifier": "s", "user": "u",
    "web_search_options": {}, "modalities": ["text"], "metadata": {"a": "b"}, "parallel_tool_calls": False,
    "verbosity": "low", "prediction": {"type": "content", "content": "x"}, "response_format": {"type": "text"},
    "tools": [], "tool_choice": "auto", "functions": [], "function_call": "none", "no_such_field": [1, {"a": None}],
    "stream": False, "stream_options": None, "logit_bias": {}, "stop": [], "audio": None,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HARMLESS))
async def test_harmless_parameters_are_accepted(client: ASGIClient, name: str) -> None:
    assert (await chat(client, **{name: HARMLESS[name]})).status_code == 200


async def test_null_means_not_given_for_every_optional_field(client: ASGIClient) -> None:
    names = [
        "max_tokens", "max_completion_tokens", "temperature", "top_p", "n", "stop", "stream", "stream_options",
        "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs", "seed", "tools",
        "tool_choice", "response_format", "reasoning_effort", "functions", "function_call", "modalities", "audio",
        "top_k", "min_p", "repeat_penalty", "repeat_last_n", "typical_p", "grammar", "ignore_eos", "min_tokens",
        "cache_prompt", "chat_template_kwargs", "chat_template",
    ]  # fmt: skip
    assert (await chat(client, **dict.fromkeys(names))).status_code == 200


async def test_tools_are_left_out_when_no_call_is_allowed(client: ASGIClient) -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    assert (await chat(client, tools=[tool], tool_choice="none")).status_code == 200
