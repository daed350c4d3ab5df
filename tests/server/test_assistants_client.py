"""The official client uses the Assistants API of a server on a real socket, as an application would."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.fake_engine import FakeEngine
from tests.support.live_server import live_server

openai = pytest.importorskip("openai")

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

REPLY = "Hello, wörld! 🌍"


async def with_client(data_dir: Path, engine: FakeEngine, use: Callable[[Any], None]) -> None:
    """Run `use` with a client's `beta` in its own thread, as an application would."""
    async with live_server(engine, data_dir=str(data_dir)) as live:

        def call() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                with openai.OpenAI(base_url=f"{live.url}/v1", api_key="k", max_retries=0, timeout=30) as client:
                    use(client.beta)

        await trio.to_thread.run_sync(call)


async def test_create_and_poll_answers_in_the_thread(tmp_path: Path) -> None:
    def use(beta: Any) -> None:
        assistant = beta.assistants.create(model="fake-model", instructions="Be kind.")
        thread = beta.threads.create()
        beta.threads.messages.create(thread.id, role="user", content="Hello")
        run = beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
        assert (run.status, run.last_error, run.instructions) == ("completed", None, "Be kind.")
        newest = beta.threads.messages.list(thread.id).data[0]
        assert newest.content[0].text.value == REPLY
        (step,) = list(beta.threads.runs.steps.list(run.id, thread_id=thread.id))
        assert step.step_details.message_creation.message_id == newest.id
        assert step.usage.total_tokens == run.usage.total_tokens > 0

    await with_client(tmp_path, FakeEngine(reply=REPLY), use)


async def test_the_stream_helper_sees_every_event_and_the_finished_objects(tmp_path: Path) -> None:
    calls: list[str] = []

    class Handler(openai.AssistantEventHandler):  # type: ignore[name-defined,misc]  # exported without a stub
        def on_text_created(self, text: Any) -> None:
            calls.append("created")

        def on_text_delta(self, delta: Any, snapshot: Any) -> None:
            calls.append(delta.value)

        def on_text_done(self, text: Any) -> None:
            calls.append("done:" + text.value)

        def on_run_step_done(self, run_step: Any) -> None:
            calls.append("step:" + run_step.status)

        def on_end(self) -> None:
            calls.append("end")

    def use(beta: Any) -> None:
        assistant = beta.assistants.create(model="fake-model")
        thread = beta.threads.create(messages=[{"role": "user", "content": "Hello"}])
        with beta.threads.runs.stream(
            thread_id=thread.id, assistant_id=assistant.id, event_handler=Handler()
        ) as stream:
            stream.until_done()
            assert stream.get_final_run().status == "completed"
            (message,) = stream.get_final_messages()
            assert message.content[0].text.value == REPLY
            (step,) = stream.get_final_run_steps()
            assert step.step_details.message_creation.message_id == message.id
        assert beta.threads.messages.retrieve(message.id, thread_id=thread.id) == message

    await with_client(tmp_path, FakeEngine(reply=REPLY), use)
    assert calls[0] == "created"
    assert "".join(calls[1 : calls.index("done:" + REPLY)]) == REPLY
    assert calls[-2:] == ["step:completed", "end"]
    assert len(calls) > 10


async def test_creating_thread_and_run_in_one_stream(tmp_path: Path) -> None:
    def use(beta: Any) -> None:
        assistant = beta.assistants.create(model="fake-model")
        with beta.threads.create_and_run_stream(
            assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "Hello"}]}
        ) as stream:
            names = [event.event for event in stream]
        assert names[0] == "thread.created"
        assert names[-1] == "thread.run.completed"

    await with_client(tmp_path, FakeEngine(reply=REPLY), use)


async def test_cancelling_a_run_ends_its_poll(tmp_path: Path) -> None:
    def use(beta: Any) -> None:
        assistant = beta.assistants.create(model="fake-model")
        run = beta.threads.create_and_run(assistant_id=assistant.id)
        with pytest.raises(openai.BadRequestError, match="already has an active run"):
            beta.threads.runs.create(run.thread_id, assistant_id=assistant.id)
        assert beta.threads.runs.cancel(run.id, thread_id=run.thread_id).status in ("cancelling", "cancelled")
        ended = beta.threads.runs.poll(run.id, thread_id=run.thread_id)
        assert ended.status == "cancelled"
        assert ended.cancelled_at is not None

    await with_client(tmp_path, FakeEngine(hang_in_prefill=True), use)


async def test_lists_are_read_to_their_end(tmp_path: Path) -> None:
    def use(beta: Any) -> None:
        messages = [{"role": "user", "content": str(n)} for n in range(60)]
        thread = beta.threads.create(messages=messages)
        walked = [m.content[0].text.value for m in beta.threads.messages.list(thread.id, order="asc", limit=7)]
        assert walked == [str(n) for n in range(60)]
        page = beta.threads.messages.list(thread.id, limit=5)
        earlier = beta.threads.messages.list(thread.id, limit=5, before=page.data[-1].id)
        assert [m.id for m in earlier.data] == [m.id for m in page.data[:-1]]

    await with_client(tmp_path, FakeEngine(), use)


async def test_everything_can_be_changed_and_deleted(tmp_path: Path) -> None:
    def use(beta: Any) -> None:
        assistant = beta.assistants.create(model="fake-model", metadata={"a": "1"})
        assert beta.assistants.update(assistant.id, name="New").metadata == {"a": "1"}
        thread = beta.threads.create(messages=[{"role": "user", "content": "x"}])
        assert beta.threads.update(thread.id, metadata={"k": "v"}).metadata == {"k": "v"}
        message = beta.threads.messages.list(thread.id).data[0]
        assert beta.threads.messages.update(message.id, thread_id=thread.id, metadata={"m": "1"}).metadata == {"m": "1"}
        run = beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
        assert beta.threads.runs.update(run.id, thread_id=thread.id, metadata={"r": "1"}).metadata == {"r": "1"}
        assert beta.threads.messages.delete(message.id, thread_id=thread.id).deleted
        assert beta.threads.delete(thread.id).deleted
        assert beta.assistants.delete(assistant.id).deleted
        for retrieve in (
            lambda: beta.threads.retrieve(thread.id),
            lambda: beta.assistants.retrieve(assistant.id),
            lambda: beta.threads.runs.retrieve(run.id, thread_id=thread.id),
        ):
            with pytest.raises(openai.NotFoundError, match="found with id"):
                retrieve()

    await with_client(tmp_path, FakeEngine(), use)
