"""Runs that search files: by the model's call or for a model that cannot call, with citations in the message."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from oxillama.assistants.records import FileSearchToolCall, RunStatus, RunStepStatus
from oxillama.assistants.run import events as ev
from oxillama.assistants.run.tools.passages import Citations, found, mark
from oxillama.assistants.run.tools.searching import MOST_SEARCHES
from oxillama.errors import ObjectNotFoundError
from oxillama.vector_stores.passages import SearchOptions
from tests.support.records import a_message, a_run, a_thread
from tests.support.tool_runs import RIVERS, SEARCH, WEATHER, FakeSearch, ToolEngine, call

if TYPE_CHECKING:
    from trio.testing import MockClock

    from oxillama.assistants.records import Run
    from tests.support.assistants import Client

OpenClient = Callable[..., Any]
ASKS = call("file_search", query="long rivers")


def searches(client: Client, run: Run) -> list[FileSearchToolCall]:
    steps = client.store.steps.list(run.thread_id, run.id)
    assert all(step.status is RunStepStatus.COMPLETED for step in steps)
    return [one for step in steps for one in step.tool_calls if isinstance(one, FileSearchToolCall)]


async def test_the_server_searches_and_the_run_goes_on_by_itself(clock: MockClock, open_client: OpenClient) -> None:
    search = FakeSearch("The Nile is long.", "The Rhine is short.")
    engine = ToolEngine(ASKS)
    async with open_client(engine, search=search) as client:
        wanted = {"max_num_results": 2, "ranking_options": {"score_threshold": 0.1}}
        tool = {"type": "file_search", "file_search": wanted}
        run, events = await client.done("Which river is long?", tools=[tool], tool_resources=RIVERS)
        assert run.status is RunStatus.COMPLETED
        assert [type(e).__name__ for e in events if not isinstance(e, ev.MessageDelta)] == [
            "Created", "Queued", "InProgress", "StepCreated", "StepInProgress", "CallBegan", "StepEnded",
            "StepCreated", "StepInProgress", "MessageCreated", "MessageInProgress", "MessageEnded", "StepEnded",
            "Completed",
        ]  # fmt: skip
        (made,) = searches(client, run)
    options = SearchOptions(max_num_results=2, score_threshold=0.1, patience=60.0)
    assert search.asked == [(["vs_rivers"], "long rivers", options)]
    assert [(r.file_id, r.file_name, r.score, r.content[0].text) for r in made.file_search.results] == [
        ("file-0", "0.md", 0.9, "The Nile is long."),
        ("file-1", "1.md", 0.8, "The Rhine is short."),
    ]
    assert made.file_search.ranking_options.score_threshold == 0.1
    last = engine.prompt_text(engine.requests[-1])
    assert f"<tool>{mark(0, 0, '0.md')}\nThe Nile is long." in last


async def test_stores_of_the_run_and_of_its_thread_are_searched_together(
    clock: MockClock, open_client: OpenClient
) -> None:
    search = FakeSearch("x")
    async with open_client(ToolEngine(ASKS), search=search) as client:
        own = {"file_search": {"vector_store_ids": ["vs_thread", "vs_rivers"]}}
        thread = a_thread(tool_resources=own)
        run = a_run(thread.id, tools=[SEARCH], tool_resources=RIVERS)
        _, live = await client.assistants.create_run(run, [a_message()], thread=thread)
        assert [event async for event in live.broadcast.subscribe()]
    assert [stores for stores, _, _ in search.asked] == [["vs_rivers", "vs_thread"]]


async def test_marks_in_the_answer_become_citations_as_it_is_written(clock: MockClock, open_client: OpenClient) -> None:
    cited, unknown = mark(0, 1, "1.md"), "【0:7†none】"
    answer = f"Short: the Rhine {cited}. Long? {unknown} é {cited}"
    async with open_client(ToolEngine(ASKS, answer), search=FakeSearch("The Nile.", "The Rhine.")) as client:
        run, events = await client.done("Which?", tools=[SEARCH], tool_resources=RIVERS)
        message = client.store.messages.list(run.thread_id)[-1]
    (part,) = message.content
    assert part.text.value == answer
    first, second = part.text.annotations
    for annotation in (first, second):
        assert answer[annotation["start_index"] : annotation["end_index"]] == annotation["text"] == cited
        assert (annotation["type"], annotation["file_citation"]) == ("file_citation", {"file_id": "file-1"})
    assert first["start_index"] < second["start_index"]
    streamed = [one for e in events if isinstance(e, ev.MessageDelta) for one in e.annotations]
    assert streamed == [{"index": 0, **first}, {"index": 1, **second}]


async def test_a_model_that_cannot_call_gets_the_passages_with_its_question(
    clock: MockClock, open_client: OpenClient
) -> None:
    search = FakeSearch("The Nile is long.")
    engine = ToolEngine(tools=False)
    async with open_client(engine, search=search) as client:
        run, events = await client.done("Old.", "Which river is long?", tools=[SEARCH], tool_resources=RIVERS)
        assert run.status is RunStatus.COMPLETED
        assert [call.arguments for call in searches(client, run)] == [None]
        assert [type(e).__name__ for e in events[3:7]] == ["StepCreated", "StepInProgress", "CallBegan", "StepEnded"]
    assert [query for _, query, _ in search.asked] == ["Which river is long?"]
    (request,) = engine.requests
    prompt = engine.prompt_text(request)
    assert f"{mark(0, 0, '0.md')}\nThe Nile is long.\n\nWhich river is long?</user>" in prompt
    assert "<user>Old.</user>" in prompt
    assert "file_search" not in prompt


async def test_a_search_that_fails_is_told_to_the_model(clock: MockClock, open_client: OpenClient) -> None:
    search = FakeSearch(error=ObjectNotFoundError("vector store", "vs_rivers"))
    async with open_client(ToolEngine(ASKS), search=search) as client:
        run, _ = await client.done("Which?", tools=[SEARCH], tool_resources=RIVERS)
        assert client.answers(run) == ["Results: The search failed: No vector store found with id 'vs_rivers'."]
        assert searches(client, run)[0].file_search.results == []


@pytest.mark.parametrize("search", [None, FakeSearch("never asked")])
async def test_without_files_nothing_is_found(
    clock: MockClock, open_client: OpenClient, search: FakeSearch | None
) -> None:
    async with open_client(ToolEngine(ASKS), search=search) as client:
        run, _ = await client.done("Which?", tools=[SEARCH])
        assert client.answers(run) == ["Results: No passage was found."]


async def test_a_model_that_searches_without_end_has_to_answer(clock: MockClock, open_client: OpenClient) -> None:
    search = FakeSearch("x")
    engine = ToolEngine(*[ASKS] * (MOST_SEARCHES + 5))
    async with open_client(engine, search=search) as client:
        run, _ = await client.done("Which?", tools=[SEARCH], tool_resources=RIVERS)
        assert run.status is RunStatus.COMPLETED
        assert len(searches(client, run)) == MOST_SEARCHES
    assert len(engine.requests) == MOST_SEARCHES + 1


async def test_a_search_beside_a_function_has_its_results_before_the_client_is_asked(
    clock: MockClock, open_client: OpenClient
) -> None:
    search = FakeSearch("The Nile.")
    engine = ToolEngine(f"{ASKS}\n{call('weather', city='Rome')}")
    async with open_client(engine, search=search) as client:
        run, _ = await client.done("Which?", tools=[SEARCH, WEATHER], tool_resources=RIVERS)
        assert run.status is RunStatus.REQUIRES_ACTION
        assert run.required_action is not None
        (asked,) = run.required_action["submit_tool_outputs"]["tool_calls"]
        (step,) = client.store.steps.list(run.thread_id, run.id)
        searched, called = step.tool_calls
        assert isinstance(searched, FileSearchToolCall)
        assert [result.file_id for result in searched.file_search.results] == ["file-0"]
        assert called.id == asked["id"]
        _, subscription = await client.assistants.submit_outputs(run.thread_id, run.id, [(called.id, "warm")])
        assert [event async for event in subscription]
        assert client.answers(run) == [f"Results: {mark(0, 0, '0.md')}\nThe Nile., warm"]
    assert len(search.asked) == 1


async def test_results_take_a_quarter_of_the_context_at_most(clock: MockClock, open_client: OpenClient) -> None:
    search = FakeSearch(*["x" * 250] * 20)
    engine = ToolEngine(ASKS, n_ctx=4096)
    async with open_client(engine, search=search) as client:
        run, _ = await client.done("Which?", tools=[SEARCH], tool_resources=RIVERS)
        assert run.status is RunStatus.COMPLETED
        assert len(searches(client, run)[0].file_search.results) == 4


async def test_a_forced_search_is_made_first(clock: MockClock, open_client: OpenClient) -> None:
    engine = ToolEngine(ASKS)
    async with open_client(engine, search=FakeSearch("x")) as client:
        run, _ = await client.done(
            "Which?", tools=[SEARCH, WEATHER], tool_choice={"type": "file_search"}, tool_resources=RIVERS
        )
        assert run.status is RunStatus.COMPLETED
    assert engine.requests[0].constraint is not None


@pytest.mark.parametrize("cut", [1, 2, 3, 7])
def test_a_citation_is_found_however_the_text_is_cut(cut: int) -> None:
    text = f"a 【b】 {mark(0, 0, 'A B.md')} 【 {mark(1, 0, 'x')}【0】"
    calls = [FileSearchToolCall(f"call_{n}", found(_passages(n), SearchOptions())) for n in range(2)]
    citations = Citations(calls)
    for at in range(0, len(text), cut):
        citations.add(text[at : at + cut])
    assert [(one["file_citation"]["file_id"], one["text"]) for one in citations.annotations] == [
        ("file-0", mark(0, 0, "A B.md")),
        ("file-1", mark(1, 0, "x")),
        ("file-1", "【0】"),
    ]
    assert all(text[one["start_index"] : one["end_index"]] == one["text"] for one in citations.annotations)


def _passages(n: int) -> Any:
    class One:
        file_id, filename, score, text = f"file-{n}", "x", 0.5, "t"

    return [One()]
