"""The official client and a server on a real socket: what users of the client see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import openai
import pytest
from openai import AsyncOpenAI

from oxillama.errors import GenerationError
from tests.support.fake_engine import FakeEngine
from tests.support.live_server import Live, live_server

HELLO: Any = [{"role": "user", "content": "Hi"}]
MODEL = "fake-model"


@asynccontextmanager
async def client_of(live: Live, **settings: Any) -> AsyncIterator[AsyncOpenAI]:
    defaults: dict[str, Any] = {"api_key": "any", "max_retries": 0, "timeout": 10}
    async with AsyncOpenAI(base_url=f"{live.url}/v1", **(defaults | settings)) as client:
        yield client


async def test_a_chat_is_answered() -> None:
    async with live_server() as live, client_of(live) as client:
        answer = await client.chat.completions.create(model=MODEL, messages=HELLO, logprobs=True, top_logprobs=2)
        assert answer.choices[0].message.content == "Hello, world!"
        assert answer.choices[0].logprobs is not None
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 14
        assert answer._request_id is not None
        assert answer._request_id.startswith("req_")


async def test_the_stream_helper_ends_with_the_result_of_the_plain_call() -> None:
    async with live_server() as live, client_of(live) as client:
        plain = await client.chat.completions.create(model=MODEL, messages=HELLO, n=2, seed=3)
        options: Any = {"include_usage": True}
        async with client.chat.completions.stream(
            model=MODEL, messages=HELLO, n=2, seed=3, stream_options=options
        ) as stream:
            deltas = [event.delta async for event in stream if event.type == "content.delta"]
            final = await stream.get_final_completion()
        assert len(deltas) > 2
        assert [c.message.content for c in final.choices] == [c.message.content for c in plain.choices]
        assert [c.finish_reason for c in final.choices] == [c.finish_reason for c in plain.choices]
        assert final.choices[0].message.role == "assistant"
        assert final.usage == plain.usage


async def test_completions_are_answered_whole_and_streamed() -> None:
    async with live_server() as live, client_of(live) as client:
        whole = await client.completions.create(model=MODEL, prompt=["a", "b"], echo=True)
        assert [c.text for c in whole.choices] == ["aHello, world!", "bHello, world!"]
        stream = await client.completions.create(model=MODEL, prompt="a", stream=True)
        assert "".join([c.choices[0].text async for c in stream]) == "Hello, world!"


@pytest.mark.parametrize("name", ["plain", "org/name", "a b%c"])
async def test_models_are_listed_and_found_by_any_name(name: str) -> None:
    async with live_server(alias=name) as live, client_of(live) as client:
        assert [m.id async for m in client.models.list()] == [name]
        assert (await client.models.retrieve(name)).id == name
        with pytest.raises(openai.PermissionDeniedError):
            await client.models.delete(name)


Call = Callable[[AsyncOpenAI], Awaitable[object]]


def chat(**fields: Any) -> Call:
    return lambda client: client.chat.completions.create(**({"model": MODEL, "messages": HELLO} | fields))


@pytest.mark.parametrize(
    ("call", "engine", "error", "code"),
    [
        (chat(temperature=3), {}, openai.BadRequestError, "decimal_above_max_value"),
        (chat(modalities=["audio"]), {}, openai.BadRequestError, "unsupported_value"),
        (chat(model="other"), {}, openai.NotFoundError, "model_not_found"),
        (lambda client: client.models.retrieve("other"), {}, openai.NotFoundError, "model_not_found"),
        (
            lambda client: client.embeddings.create(model=MODEL, input="x"),
            {},
            openai.BadRequestError,
            "model_without_embeddings",
        ),
        (lambda client: client.moderations.create(input="x"), {}, openai.NotFoundError, "unsupported_endpoint"),
        (lambda client: client.put("/models", cast_to=object), {}, openai.APIStatusError, None),
        (
            chat(messages=[{"role": "user", "content": "x" * 3000}]),
            {},
            openai.BadRequestError,
            "context_length_exceeded",
        ),
        (chat(), {"busy": True}, openai.RateLimitError, "rate_limit_exceeded"),
        (chat(stream=True), {"busy": True}, openai.RateLimitError, "rate_limit_exceeded"),
        (chat(), {"fail_at": 0}, openai.InternalServerError, None),
        (chat(), {"fail_at": 0, "error": ZeroDivisionError()}, openai.InternalServerError, None),
    ],
)
async def test_each_refusal_raises_its_exception(
    call: Call, engine: dict[str, Any], error: type[openai.APIStatusError], code: str | None
) -> None:
    async with live_server(FakeEngine(**engine), log_level="error") as live, client_of(live) as client:
        with pytest.raises(error) as caught:
            await call(client)
        assert caught.value.code == code
        assert str(caught.value.request_id).startswith("req_")
        assert set(cast("dict[str, Any]", caught.value.body)) == {"message", "type", "param", "code"}


async def test_a_wrong_key_is_an_authentication_error() -> None:
    async with live_server(api_keys=["right"]) as live:
        async with client_of(live, api_key="wrong") as client:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()
        async with client_of(live, api_key="right") as client:
            await client.models.list()


async def test_a_failure_in_the_middle_of_a_stream_is_raised() -> None:
    engine = FakeEngine(fail_at=3, error=GenerationError("no numbers came out"))
    async with live_server(engine) as live, client_of(live) as client:
        stream = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        with pytest.raises(openai.APIError, match="no numbers came out"):
            async for _ in stream:
                pass


async def test_a_request_to_a_busy_server_is_retried_and_answered() -> None:
    engine = FakeEngine(busy=True)
    async with live_server(engine) as live, client_of(live, max_retries=1) as client:
        seen = 0
        real = engine.statistics

        def statistics() -> Any:
            nonlocal seen
            seen += 1
            engine.busy = seen < 2
            return real()

        engine.statistics = statistics
        answer = await client.chat.completions.create(model=MODEL, messages=HELLO)
        assert answer.choices[0].message.content == "Hello, world!"
        assert seen == 2


async def test_a_client_that_stops_reading_a_stream_frees_its_slot() -> None:
    engine = FakeEngine(reply="x" * 10_000, n_ctx=100_000, delay_s=0.005)
    async with live_server(engine) as live, client_of(live) as client:
        stream = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        async for _ in stream:
            break
        await stream.close()
        await engine.wait_idle()
        assert engine.tokens < 10_000
