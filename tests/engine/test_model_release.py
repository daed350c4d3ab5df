"""A closed `Model` has released its threads and its memory, even while the program still refers to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tiny_models import tiny_model

SCRIPT = """
import gc, os, sys
from oxillama import Model, SamplingParams

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

def threads():
    return len(os.listdir("/proc/self/task"))

path = sys.argv[1]
with Model(path, n_threads=1) as model:  # taken only by the first model
    list(model.generate([1, 2], SamplingParams(max_tokens=2)))
before, before_threads = resident(), threads()
with Model(path, n_threads=4) as model:
    events = model.events([1, 2, 3], SamplingParams(max_tokens=100, ignore_eos=True))
    next(events)
    model.logits(range(100))
    during, during_threads = resident(), threads()
gc.disable()
print(during_threads - before_threads, during - before, threads() - before_threads, resident() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="asks /proc")
def test_a_closed_model_keeps_no_thread_and_no_weights(tmp_path: Path) -> None:
    # 48 MB of weights in F32.
    path = tiny_model(tmp_path / "m.gguf", n_embd=512, n_ff=4096, n_layer=2)

    done = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=True)

    more_threads, more_mb, threads_left, mb_left = map(int, done.stdout.split())
    assert more_threads == 3
    assert more_mb > 40
    assert threads_left == 0
    assert mb_left < 10
