"""After any changes in any order, and after restarts, the store returns the same as a plain dict."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from oxillama.assistants.records import Run, RunStatus, ThreadMessage
from oxillama.assistants.records.transitions import settle, settle_abandoned
from oxillama.errors import ObjectNotFoundError, StateConflictError
from tests.support.records import NOW, a_message, a_run, a_step, a_thread
from tests.support.simulated_disk import SimulatedDisk
from tests.support.stores import open_store

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
        self.store = open_store(self.disk)
        self.store.recover()

    @rule(target=threads, texts=st.lists(st.text(max_size=20), max_size=3))
    def create_thread(self, texts: list[str]) -> Any:
        thread, messages = a_thread(), [a_message(text) for text in texts]
        self.store.threads.create(thread, messages)
        self.model[thread.id] = {"meta": {}, "messages": {m.id: m.text_content for m in messages}, "runs": {}}
        return thread.id

    @rule(thread=threads, meta=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2))
    def change_thread(self, thread: str, meta: dict[str, str]) -> None:
        model = self.model[thread]
        if model is None:
            self.refused(ObjectNotFoundError, self.store.threads.update, thread, metadata=meta)
            return
        self.store.threads.update(thread, metadata=meta)
        model["meta"] = meta

    @rule(thread=threads, text=st.text(max_size=50))
    def add_message(self, thread: str, text: str) -> None:
        model, message = self.model[thread], a_message(text)
        if model is None:
            self.refused(ObjectNotFoundError, self.store.messages.append, thread, message)
        elif self.active(model):
            self.refused(StateConflictError, self.store.messages.append, thread, message)
        else:
            self.store.messages.append(thread, message)
            model["messages"][message.id] = text

    @rule(thread=threads, data=st.data())
    def delete_message(self, thread: str, data: st.DataObject) -> None:
        model = self.model[thread]
        if model and model["messages"]:
            chosen = data.draw(st.sampled_from(sorted(model["messages"])))
            self.store.messages.delete(thread, chosen)
            del model["messages"][chosen]

    @rule(thread=threads)
    def create_run(self, thread: str) -> None:
        model, run = self.model[thread], a_run(thread)
        addition = a_message("addition")
        if model is None:
            self.refused(ObjectNotFoundError, self.store.runs.create, run, [addition])
        elif self.active(model):
            self.refused(StateConflictError, self.store.runs.create, run, [addition])
        else:
            self.store.runs.create(run, [addition])
            model["runs"][run.id] = RunStatus.QUEUED
            model["messages"][addition.id] = "addition"

    @rule(thread=threads, status=st.sampled_from([RunStatus.IN_PROGRESS, *TERMINAL]))
    def move_run(self, thread: str, status: RunStatus) -> None:
        model = self.model[thread]
        run = self.active(model) if model else None
        if run is not None and model is not None:
            self.store.runs.update_status(thread, run, status)
            model["runs"][run] = status
        elif model and model["runs"]:
            ended = next(iter(model["runs"]))
            self.refused(StateConflictError, self.store.runs.update_status, thread, ended, status)

    @rule(thread=threads)
    def add_step(self, thread: str) -> None:
        model = self.model[thread]
        if model and (run := self.active(model)):
            step = self.store.steps.append(a_step(self.store.runs.get(thread, run)))
            assert step in self.store.steps.list(thread, run)

    @rule(thread=threads)
    def delete_thread(self, thread: str) -> None:
        if self.model[thread] is None:
            self.refused(ObjectNotFoundError, self.store.threads.delete, thread)
        else:
            self.store.threads.delete(thread)
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
                self.refused(ObjectNotFoundError, self.store.threads.get, thread)
                continue
            assert self.store.threads.get(thread).metadata == model["meta"]
            messages = [(m.id, m.text_content) for m in self.store.messages.list(thread)]
            assert messages == list(model["messages"].items())
            assert [(r.id, r.status) for r in self.store.runs.list(thread)] == list(model["runs"].items())

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


StoreMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestStoreIsADict = StoreMachine.TestCase


def runs() -> st.SearchStrategy[Run]:
    return st.builds(
        lambda status, streamed, attempts, expires: a_run(
            "thread_x", status=status, streamed=streamed, attempts=attempts, expires_at=expires
        ),
        st.sampled_from(list(RunStatus)),
        st.booleans(),
        st.integers(0, 5),
        st.sampled_from([None, NOW - 1, NOW, NOW + 1]),
    )


def test_settling_is_idempotent_and_never_leaves_a_run_in_between() -> None:
    message = ThreadMessage(id="msg_x", created_at=NOW, role="assistant", content=[], status="completed")

    @settings(max_examples=400, deadline=None)
    @given(run=runs(), answered=st.booleans())
    def check(run: Run, answered: bool) -> None:
        answer = message if answered else None
        settled = settle(run, answer, NOW)
        assert settle(settled, answer, NOW) == settled or settled.status is RunStatus.QUEUED
        assert settle(settled, None, NOW) == settled
        if run.status.is_terminal:
            assert settled == run
        elif run.status is RunStatus.REQUIRES_ACTION:
            expired = run.expires_at is not None and run.expires_at <= NOW
            assert settled.status is RunStatus.EXPIRED if expired else settled == run
        else:
            assert settled.status.is_terminal or settled.status is RunStatus.QUEUED
            assert answered <= (settled.status is RunStatus.COMPLETED)

    check()


def test_a_run_that_was_given_up_has_the_same_end_on_every_read() -> None:
    message = ThreadMessage(id="msg_x", created_at=NOW, role="assistant", content=[], status="completed")

    @settings(max_examples=200, deadline=None)
    @given(run=runs(), answered=st.booleans(), later=st.integers(0, 10_000))
    def check(run: Run, answered: bool, later: int) -> None:
        answer = message if answered else None
        shown, found = (settle_abandoned(run, answer, now) for now in (NOW, NOW + later))
        assert shown.status.is_terminal
        assert (found.status, found.last_error, found.usage) == (shown.status, shown.last_error, shown.usage)

    check()
