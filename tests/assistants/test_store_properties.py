"""Whatever is done in whatever order, the store says what a plain dict would, also after any number of restarts."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from oxillama.assistants.records.types import Run, RunStatus, ThreadMessage
from oxillama.assistants.run.transitions import settle
from oxillama.assistants.store.store import ThreadStore
from oxillama.errors import ObjectNotFoundError, StateConflictError
from oxillama.storage.durable import Durable
from tests.assistants.fixtures import NOW, a_message, a_run, a_step, a_thread
from tests.support.simulated_disk import SimulatedDisk

TERMINAL = [status for status in RunStatus if status.is_terminal]


class StoreMachine(RuleBasedStateMachine):
    """`model`: thread id → {"meta", "messages": {id: text}, "runs": {id: status}}; None for a deleted thread."""

    threads = Bundle("threads")

    @initialize()
    def begin(self) -> None:
        self.disk = SimulatedDisk()
        self.model: dict[str, dict[str, Any] | None] = {}
        self.open()

    def open(self) -> None:
        self.store = ThreadStore("/data", Durable(self.disk), clock=lambda: NOW, cache_bytes=30_000)
        self.store.recover()

    @rule(target=threads, texts=st.lists(st.text(max_size=20), max_size=3))
    def create_thread(self, texts: list[str]) -> Any:
        thread, messages = a_thread(), [a_message(text) for text in texts]
        self.store.create_thread(thread, messages)
        self.model[thread.id] = {"meta": {}, "messages": {m.id: m.text_content for m in messages}, "runs": {}}
        return thread.id

    @rule(thread=threads, meta=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2))
    def change_thread(self, thread: str, meta: dict[str, str]) -> None:
        model = self.model[thread]
        if model is None:
            self.refused(ObjectNotFoundError, self.store.update_thread, thread, metadata=meta)
            return
        self.store.update_thread(thread, metadata=meta)
        model["meta"] = meta

    @rule(thread=threads, text=st.text(max_size=50))
    def add_message(self, thread: str, text: str) -> None:
        model, message = self.model[thread], a_message(text)
        if model is None:
            self.refused(ObjectNotFoundError, self.store.append_message, thread, message)
        elif self.active(model):
            self.refused(StateConflictError, self.store.append_message, thread, message)
        else:
            self.store.append_message(thread, message)
            model["messages"][message.id] = text

    @rule(thread=threads, data=st.data())
    def delete_message(self, thread: str, data: st.DataObject) -> None:
        model = self.model[thread]
        if model and model["messages"]:
            chosen = data.draw(st.sampled_from(sorted(model["messages"])))
            self.store.delete_message(thread, chosen)
            del model["messages"][chosen]

    @rule(thread=threads)
    def create_run(self, thread: str) -> None:
        model, run = self.model[thread], a_run(thread)
        addition = a_message("addition")
        if model is None:
            self.refused(ObjectNotFoundError, self.store.create_run, run, [addition])
        elif self.active(model):
            self.refused(StateConflictError, self.store.create_run, run, [addition])
        else:
            self.store.create_run(run, [addition])
            model["runs"][run.id] = RunStatus.QUEUED
            model["messages"][addition.id] = "addition"

    @rule(thread=threads, status=st.sampled_from([RunStatus.IN_PROGRESS, *TERMINAL]))
    def move_run(self, thread: str, status: RunStatus) -> None:
        model = self.model[thread]
        run = self.active(model) if model else None
        if run is not None and model is not None:
            self.store.update_run_status(thread, run, status)
            model["runs"][run] = status
        elif model and model["runs"]:
            ended = next(iter(model["runs"]))
            self.refused(StateConflictError, self.store.update_run_status, thread, ended, status)

    @rule(thread=threads)
    def add_step(self, thread: str) -> None:
        model = self.model[thread]
        if model and (run := self.active(model)):
            step = self.store.append_step(a_step(self.store.get_run(thread, run)))
            assert step in self.store.list_steps(thread, run)

    @rule(thread=threads)
    def delete_thread(self, thread: str) -> None:
        if self.model[thread] is None:
            self.refused(ObjectNotFoundError, self.store.delete_thread, thread)
        else:
            self.store.delete_thread(thread)
            self.model[thread] = None

    @rule(seed=st.integers(0, 2**32))
    def lose_power(self, seed: int) -> None:
        self.disk = self.disk.after_power_cut(random.Random(seed))
        self.open()
        for model in filter(None, self.model.values()):
            for run, status in model["runs"].items():
                if status is RunStatus.IN_PROGRESS:
                    model["runs"][run] = RunStatus.QUEUED

    @invariant()
    def everything_agrees(self) -> None:
        for thread, model in self.model.items():
            if model is None:
                self.refused(ObjectNotFoundError, self.store.get_thread, thread)
                continue
            assert self.store.get_thread(thread).metadata == model["meta"]
            messages = [(m.id, m.text_content) for m in self.store.list_messages(thread)]
            assert messages == list(model["messages"].items())
            assert [(r.id, r.status) for r in self.store.list_runs(thread)] == list(model["runs"].items())

    @staticmethod
    def active(model: dict[str, Any]) -> str | None:
        return next((run for run, status in model["runs"].items() if not status.is_terminal), None)

    @staticmethod
    def refused(kind: type[Exception], call: Any, *arguments: Any, **named: Any) -> None:
        try:
            call(*arguments, **named)
        except kind:
            return
        raise AssertionError(f"{call.__name__} was not refused")


StoreMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestStoreIsADict = StoreMachine.TestCase


def runs() -> st.SearchStrategy[Run]:
    return st.builds(
        lambda status, streamed, attempts, expires: a_run(
            "thread_x", status=status, streamed=streamed, attempts=attempts, expires_at=expires
        ),
        st.sampled_from([s for s in RunStatus if not s.is_terminal and s is not RunStatus.REQUIRES_ACTION]),
        st.booleans(),
        st.integers(0, 5),
        st.sampled_from([None, NOW - 1, NOW, NOW + 1]),
    )


def test_settling_is_idempotent_and_never_leaves_a_run_in_between() -> None:
    message = ThreadMessage(id="msg_x", created_at=NOW, role="assistant", content=[], status="completed")

    @settings(max_examples=200, deadline=None)
    @given(run=runs(), with_step=st.booleans(), answered=st.booleans())
    def check(run: Run, with_step: bool, answered: bool) -> None:
        step = a_step(run) if with_step else None
        settled = settle(run, step, message if answered else None, NOW)
        assert settled.status.is_terminal or settled.status is RunStatus.QUEUED
        assert answered <= (settled.status is RunStatus.COMPLETED)
        if not settled.status.is_terminal:
            assert settle(settled, step, None, NOW) == settled

    check()
