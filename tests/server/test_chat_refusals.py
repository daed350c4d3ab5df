"""Chat requests that are refused, fail or wait: the status, the message, and no leftovers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from oxillama.errors import TemplateError
from oxillama.text import PromptText
from tests.support.answers import HELLO, chat, error_of, events
from tests.support.asgi_client import ASGIClient
from tests.support.fake_engine import FakeChatTemplate, FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.server import Application


async def test_another_model_is_not_found(client: ASGIClient) -> None:
    response = await chat(client, model="gpt-4o")
    assert response.status_code == 404
    error = error_of(response)
    assert error["code"] == "model_not_found"
    assert error["message"] == (
        "The model `gpt-4o` does not exist or you do not have access to it. This server has `fake-model`."
    )


@pytest.mark.parametrize("n_prompt", [2048, 2049, 5000])  # the first leaves no room for an answer
async def test_a_prompt_beyond_the_context_is_refused_with_the_documented_message(
    client: ASGIClient, engine: FakeEngine, n_prompt: int
) -> None:
    assert engine.n_ctx == 2048
    frame = 1 + len("<user></user><assistant>")
    response = await chat(client, messages=[{"role": "user", "content": "x" * (n_prompt - frame)}])
    assert response.status_code == 400
    error = error_of(response)
    assert (error["param"], error["code"]) == ("messages", "context_length_exceeded")
    assert error["message"].startswith(
        f"This model's maximum context length is {engine.n_ctx} tokens. However, your messages resulted in {n_prompt} "
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_a_full_queue_is_429_with_retry_after_also_for_streams(
    client: ASGIClient, engine: FakeEngine, stream: bool
) -> None:
    engine.busy = True
    response = await chat(client, stream=stream)
    assert response.status_code == 429
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert error_of(response)["code"] == "rate_limit_exceeded"


async def test_a_full_queue_refuses_before_the_prompt_is_made(
    make_app: Callable[..., Application], engine: FakeEngine
) -> None:
    engine.max_waiting = 0
    engine.chat_template = FakeChatTemplate(error=AssertionError("rendered"))
    engine.active = engine.open = engine.n_slots
    assert (await chat(ASGIClient(make_app()))).status_code == 429


async def test_a_full_queue_refuses_early_by_the_same_rules_as_later(
    make_app: Callable[..., Application], engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    client = ASGIClient(make_app(api_keys=["sk-key"], cors_origins=["http://page"], log_level="info"))
    headers = {"Authorization": "Bearer sk-key", "Origin": "http://page"}
    engine.busy = True  # found when the prompt is rendered
    late = await client.post("/v1/chat/completions", json={"model": "fake-model", "messages": HELLO}, headers=headers)
    engine.busy, engine.max_waiting = False, 0
    engine.active = engine.open = engine.n_slots
    early = await client.post("/v1/chat/completions", body=b"{never read", headers=headers)
    stranger = await client.post("/v1/chat/completions", body=b"{}", headers={"Origin": "http://page"})

    assert (early.status_code, late.status_code, stranger.status_code) == (429, 429, 401)
    assert error_of(early)["code"] == error_of(late)["code"] == "rate_limit_exceeded"
    assert early.headers.keys() == late.headers.keys()
    assert [line.split("status=")[1][:3] for line in capsys.readouterr().err.splitlines()] == ["429", "429", "401"]


async def test_several_choices_are_admitted_all_or_none(client: ASGIClient, engine: FakeEngine) -> None:
    engine.n_slots, engine.max_waiting = 1, 2
    response = await chat(client, n=4)
    assert response.status_code == 400
    assert error_of(response)["param"] == "n"
    assert engine.open == 0


async def test_a_stopped_engine_is_503(client: ASGIClient, engine: FakeEngine) -> None:
    engine.kill()
    response = await chat(client)
    assert response.status_code == 503
    assert "Retry-After" in response.headers


async def test_a_failed_generation_is_500_with_its_reason_and_no_retry(client: ASGIClient, engine: FakeEngine) -> None:
    engine.fail_at = 2
    response = await chat(client)
    assert response.status_code == 500
    assert response.headers["x-should-retry"] == "false"
    assert error_of(response)["message"] == "the scripted failure"
    assert engine.open == 0


async def test_a_failure_in_the_middle_of_a_stream_is_an_error_event_and_no_end(
    client: ASGIClient, engine: FakeEngine
) -> None:
    engine.fail_at = 2
    found = events(await chat(client, stream=True))
    assert found[-1] == {
        "error": {"message": "the scripted failure", "type": "server_error", "param": None, "code": None}
    }
    assert "[DONE]" not in found
    assert engine.open == 0


async def test_a_bug_in_the_middle_of_a_stream_reveals_no_internals(client: ASGIClient, engine: FakeEngine) -> None:
    engine.fail_at, engine.error = 0, ZeroDivisionError("secret")
    found = events(await chat(client, stream=True))
    assert found[-1]["error"]["message"].startswith("The server had an error")


async def test_a_refusing_template_is_an_invalid_request(client: ASGIClient, engine: FakeEngine) -> None:
    engine.chat_template = FakeChatTemplate(error=TemplateError("roles must alternate"))
    response = await chat(client)
    assert response.status_code == 400
    assert error_of(response)["param"] == "messages"


async def test_a_long_prefill_is_never_silent_for_more_than_ten_seconds(
    make_app: Callable[..., Application], engine: FakeEngine, autojump_clock: trio.testing.MockClock
) -> None:
    engine.prefill_s = 60
    body = {"model": "fake-model", "messages": HELLO, "stream": True}
    async with ASGIClient(make_app()).stream("POST", "/v1/chat/completions", json=body) as stream:
        assert b'"role":"assistant"' in await stream.receive()
        assert trio.current_time() < 1
        last, pings = trio.current_time(), 0
        while b"[DONE]" not in (data := await stream.receive()):
            assert trio.current_time() - last <= 10
            last = trio.current_time()
            pings += data == b": ping\n\n"
    assert pings >= 6


async def test_health_answers_while_requests_wait(client: ASGIClient, engine: FakeEngine) -> None:
    engine.prefill_s = 1e6
    async with trio.open_nursery() as nursery:
        for _ in range(engine.n_slots + 3):
            nursery.start_soon(chat, client)
        await trio.testing.wait_all_tasks_blocked()
        assert (await client.get("/health")).status_code == 200
        nursery.cancel_scope.cancel()


async def test_a_text_that_is_far_too_long_is_refused_after_its_beginning(
    client: ASGIClient, engine: FakeEngine
) -> None:
    lengths: list[int] = []
    real = engine.encode

    async def encode(text: str | PromptText, **options: bool) -> list[int]:
        lengths.append(len(text))
        return await real(text, **options)

    engine.encode = encode
    response = await chat(client, messages=[{"role": "user", "content": "x" * 1_000_000}])
    assert error_of(response)["code"] == "context_length_exceeded"
    assert lengths == [16 * engine.n_ctx]


async def test_requests_that_still_make_their_prompts_count_as_waiting(
    make_app: Callable[..., Application], engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.n_slots, engine.max_waiting = 2, 3
    making, most, gate = 0, 0, trio.Event()
    real = engine.with_template

    async def with_template(work: Any) -> Any:
        nonlocal making, most
        making += 1
        most = max(most, making)
        await gate.wait()
        making -= 1
        return await real(work)

    monkeypatch.setattr(engine, "with_template", with_template)
    client, statuses = ASGIClient(make_app()), []

    async def one() -> None:
        statuses.append((await chat(client)).status_code)

    async with trio.open_nursery() as nursery:
        for _ in range(9):
            nursery.start_soon(one)
        await trio.testing.wait_all_tasks_blocked()
        assert statuses == [429] * 4
        gate.set()
    assert statuses == [429] * 4 + [200] * 5
    assert most == 4


async def test_far_too_many_values_for_the_template_are_refused(client: ASGIClient) -> None:
    assert (await chat(client, chat_template_kwargs={f"a{n}": n for n in range(64)})).status_code == 200
    response = await chat(client, chat_template_kwargs={f"a{n}": n for n in range(65)})
    assert response.status_code == 400
    assert (error_of(response)["param"], error_of(response)["code"]) == (
        "chat_template_kwargs",
        "object_above_max_properties",
    )
