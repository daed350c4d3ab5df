"""A runner may be used by one thread at a time, not by a forked child, and not after it is closed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.core._core import Runner, ThreadPool
from oxillama.errors import InvalidParameterError, StepCancelledError
from oxillama.gguf import GGUFFile
from oxillama.models import load_model
from tests.support.graphs import runner_of
from tests.support.tiny_models import tiny_model

LONG = 1024  # tokens of a step of a deep model, which takes long enough for another thread to meet it


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("runner") / "m.gguf")


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("runner") / "deep.gguf", n_layer=96, n_ctx=LONG)


def step(runner: Runner, tokens: list[int], seq: int) -> Any:
    return runner.step(np.asarray(tokens, np.int32), [seq], [len(tokens)], np.ones(len(tokens), bool))


def long_runner(path: Path, n_threads: int = 2) -> Runner:
    return load_model(path, n_threads=n_threads, n_batch=LONG, n_ctx=LONG, kv_pages=LONG // 32).runner


@contextmanager
def stepping(runner: Runner) -> Iterator[Future[Any]]:
    """A step in another thread that has begun; it is cancelled at the end. Yields the future of its outcome."""
    seq = runner.seq_open()
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(runner.step, np.zeros(LONG, np.int32), [seq], [LONG], np.zeros(LONG, bool))
        with suppress(InvalidParameterError):
            while not future.done():
                runner.free_pages  # noqa: B018  (refused as soon as the step has begun)
        assert not future.done()
        try:
            yield future
        finally:
            runner.cancel()


def test_a_second_thread_is_refused_while_one_steps(deep: Path) -> None:
    runner = long_runner(deep)
    calls: list[Callable[[], object]] = [
        lambda: runner.step(np.zeros(1, np.int32), [0], [1], np.ones(1, bool)),
        lambda: runner.seq_open(),
        lambda: runner.seq_close(0),
        lambda: runner.seq_len(0),
        lambda: runner.seq_reserve(0, 1),
        lambda: runner.seq_truncate(0, 0),
        lambda: runner.seq_fork(0, 0),
        lambda: runner.seq_pages(0),
        lambda: runner.free_pages,
        lambda: runner.embeddings(),
        lambda: runner.observe(),
        lambda: runner.observed(),
    ]
    with stepping(runner) as step_of_another:
        for call in calls:
            with pytest.raises(InvalidParameterError, match="another thread is computing a step"):
                call()
        assert not step_of_another.done()
    assert isinstance(step_of_another.exception(), StepCancelledError)
    assert runner.seq_len(0) == 0


def test_two_runners_do_not_compute_with_the_same_threads_at_once(deep: Path) -> None:
    gguf, pool = GGUFFile(deep), ThreadPool(2)
    one = runner_of(gguf, pool, n_batch=LONG, n_ctx=LONG, n_pages=LONG // 32)
    two = runner_of(gguf, pool)
    seq = two.seq_open()
    passed = pool.counts["barriers"]
    with stepping(one) as step_of_another:
        while pool.counts["barriers"] == passed and not step_of_another.done():
            time.sleep(0)  # the runner is taken a moment before its threads are
        with pytest.raises(InvalidParameterError, match="another thread is computing with these threads"):
            step(two, [1], seq)
        assert not step_of_another.done()
    assert step(two, [1], seq).shape == (1, 128)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_forked_child_process_is_refused_and_can_exit(path: Path, n_threads: int) -> None:
    code = f"""
import os, sys
import numpy as np
from oxillama.errors import InvalidParameterError
from oxillama.models import load_model
runner = load_model({str(path)!r}, n_threads={n_threads}).runner
seq = runner.seq_open()
if (child := os.fork()) == 0:
    try:
        runner.step(np.zeros(1, np.int32), [seq], [1], np.ones(1, bool))
    except InvalidParameterError as error:
        print(error, flush=True)
    runner.close()
    del runner
    print("closed", flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(runner.step(np.zeros(1, np.int32), [seq], [1], np.ones(1, bool)).shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    refusal, closed, shape = done.stdout.splitlines()
    assert "forked" in refusal
    assert (closed, shape, done.returncode) == ("closed", "(1, 128)", 0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_closing_gives_threads_and_memory_back_at_once(deep: Path) -> None:
    def threads_and_megabytes() -> tuple[int, float]:
        status = Path("/proc/self/status").read_text()
        return len(os.listdir("/proc/self/task")), int(status.split("VmRSS:")[1].split()[0]) / 1024

    load_model(deep, n_threads=4).close()  # taken only by the first model
    before = threads_and_megabytes()
    runner = long_runner(deep, n_threads=4)
    flags = np.arange(LONG) == LONG - 1
    logits = runner.step(np.zeros(LONG, np.int32), [runner.seq_open()], [LONG], flags)
    kept = logits.copy()
    during = threads_and_megabytes()
    assert during[0] == before[0] + 3
    assert during[1] > before[1] + 24
    runner.close()
    after = threads_and_megabytes()
    assert after[0] == before[0]
    assert after[1] < before[1] + 8, "more than the results' memory"
    assert np.array_equal(logits, kept)


def test_closing_ends_a_step_of_another_thread(deep: Path) -> None:
    runner = long_runner(deep)
    with stepping(runner) as step_of_another:
        runner.close()
        assert isinstance(step_of_another.exception(), StepCancelledError)
    with pytest.raises(InvalidParameterError, match="closed"):
        runner.seq_open()
    runner.cancel()


def test_the_cyclic_collector_may_free_a_runner_first(path: Path) -> None:
    """The collector clears references of garbage in any order before it frees the garbage."""
    code = f"""
import gc
import numpy as np
from oxillama.errors import InvalidParameterError
from oxillama.models import load_model

def fail():
    runner = load_model({str(path)!r}, n_threads=2).runner
    logits = runner.step(np.zeros(1, np.int32), [runner.seq_open()], [1], np.ones(1, bool))
    try:
        runner.seq_close(99)
    except InvalidParameterError as error:
        keep = error

for _ in range(5):
    fail()
    gc.collect()
print("alive")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "MALLOC_PERTURB_": "1", "PYTHONMALLOC": "malloc"},
    )
    assert (done.stdout, done.returncode) == ("alive\n", 0), done.stderr


def test_a_batch_that_changes_during_its_step_is_evaluated_as_it_was_checked(path: Path) -> None:
    """A caller may write into the tokens of a step that runs in another thread."""
    runner = load_model(path, n_threads=2, n_batch=512, kv_pages=64, n_ctx=2048).runner
    tokens, done = np.zeros(512, np.int32), threading.Event()

    def write() -> None:
        while not done.is_set():
            tokens[:] = 2**31 - 1
            tokens[:] = 0

    seq, writer = runner.seq_open(), threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(100):
            with suppress(InvalidParameterError):  # for the tokens that it copied
                runner.step(tokens, [seq], [512], np.zeros(512, bool))
                runner.seq_truncate(seq, 0)
    finally:
        done.set()
        writer.join()


