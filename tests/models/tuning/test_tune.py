"""Formats with much of the weights are measured when a model is loaded, until two loads have agreed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama import machine
from oxillama.core._core import ThreadPool, default_reading, readings
from oxillama.errors import InvalidParameterError
from oxillama.models import load_model
from oxillama.models.tuning import tune
from tests.support.blocks import NUMBERS
from tests.support.tiny_models import tiny_model

Q4_K, Q6_K = NUMBERS["Q4_K"], NUMBERS["Q6_K"]


class FakeProgram:
    """400 MB of Q4_K, 100 MB of Q6_K and a little F32, with rates that a test sets. With several tokens all ways are as
    fast, unless `several` says otherwise."""

    matrix_types = (Q4_K, Q6_K, Q4_K, NUMBERS["F32"])
    matrix_bytes = (200_000_000, 100_000_000, 200_000_000, 20_000_000)

    def __init__(
        self, rates: Callable[[int], dict[str, float]] | None = None, several: dict[str, float] | None = None
    ) -> None:
        self.rates = rates or (lambda kind: {})
        self.several = several or {}
        self.measured: list[int] = []
        self.measured_several: list[int] = []
        self.chosen = {several: [default_reading(several)] * 4 for several in (False, True)}
        self.disturbed = 0  # how many comparisons another program disturbs

    def readings(self, several: bool) -> list[str]:
        return list(self.chosen[several])

    def read_as(self, matrix: int, several: bool, reading: str) -> None:
        self.chosen[several][matrix] = reading

    def compare_readings(
        self, kind: int, several: bool, n_rounds: int, pool: object
    ) -> np.ndarray[Any, np.dtype[np.float64]]:
        (self.measured_several if several else self.measured).append(kind)
        set_rates = self.several if several else self.rates(kind)
        row = np.array([set_rates.get(name, 10e9) for name in readings()])
        rates = np.tile(row, (n_rounds, 1))
        if self.disturbed:
            self.disturbed -= 1
            rates[1:-1] *= 0.5
        return rates

    def tuned(self, how: str = "auto", n_threads: int = 2, several: bool = False) -> dict[str, tuple[str, str]]:
        """How weights are read for one or two tokens, or for `several`."""
        found = tune.tune(self, ThreadPool(n_threads), how)  # type: ignore[arg-type]
        return {t.weights: (t.reading, t.origin) for t in found if t.tokens == ("3+" if several else "1-2")}


OTHER, THIRD = [name for name in readings() if name != default_reading()][:2]


@pytest.fixture(autouse=True)
def vector_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build with only the generic kernels chooses like one with others."""
    monkeypatch.setattr(tune, "isa", lambda: "avx2-base")
    monkeypatch.setattr(machine, "largest_cache", lambda: 1 << 20)


def fast(**ways: float) -> Callable[[int], dict[str, float]]:
    return lambda kind: {{"other": OTHER, "third": THIRD}[name]: rate for name, rate in ways.items()}


def test_each_large_format_is_measured_and_set() -> None:
    program = FakeProgram(lambda kind: {OTHER: 20e9} if kind == Q6_K else {})

    assert program.tuned() == {
        "Q4_K": (default_reading(), "probed"),
        "Q6_K": (OTHER, "probed"),
        "F32": (default_reading(), "default"),
    }
    assert program.readings(False) == [default_reading(), OTHER, default_reading(), default_reading()]
    assert program.readings(True) == [default_reading(True)] * 4
    assert program.measured == program.measured_several == [Q4_K, Q6_K]


def test_several_tokens_have_choices_of_their_own() -> None:
    other = next(name for name in readings() if name not in (default_reading(False), default_reading(True)))
    for origin in ("probed", "probed", "cached"):
        program = FakeProgram(several={other: 20e9})
        assert program.tuned(several=True)["Q4_K"] == (other, origin)
        assert program.readings(True)[:3] == [other] * 3
        assert program.readings(False) == [default_reading()] * 4


def test_what_two_loads_found_is_not_measured_again() -> None:
    origins = []
    for _ in range(4):
        program = FakeProgram(fast(other=20e9))
        origins.append(program.tuned()["Q4_K"])
    assert origins == [(OTHER, "probed"), (OTHER, "probed"), (OTHER, "cached"), (OTHER, "cached")]
    assert program.measured == program.measured_several == []


def test_what_the_second_load_does_not_find_again_starts_anew() -> None:
    FakeProgram(fast(other=20e9)).tuned()  # in a minute in which something else was fast
    assert [FakeProgram(fast(third=15e9)).tuned()["Q4_K"] for _ in range(3)] == [
        (THIRD, "probed"), (THIRD, "probed"), (THIRD, "cached"),
    ]  # fmt: skip


def test_ways_that_are_equally_fast_do_not_take_turns() -> None:
    FakeProgram(fast(other=20e9, third=19.9e9)).tuned()
    FakeProgram(fast(other=19.9e9, third=20e9)).tuned()

    assert FakeProgram().tuned()["Q4_K"] == (OTHER, "cached")


def test_other_numbers_of_threads_have_choices_of_their_own() -> None:
    for _ in range(2):
        FakeProgram(fast(other=20e9)).tuned(n_threads=2)

    assert FakeProgram().tuned(n_threads=1)["Q4_K"] == (default_reading(), "probed")
    assert FakeProgram().tuned(n_threads=2)["Q4_K"] == (OTHER, "cached")


def test_a_busy_machines_rounds_are_repeated() -> None:
    program = FakeProgram(fast(other=20e9))
    program.disturbed = 1
    program.tuned()

    assert program.measured == [Q4_K, Q4_K, Q6_K]
    assert program.measured_several == [Q4_K, Q6_K]


def test_a_busy_machine_keeps_the_default_and_nothing_is_remembered(cache: Path) -> None:
    program = FakeProgram(fast(other=20e9))
    program.disturbed = 1000

    assert program.tuned()["Q4_K"] == (default_reading(), "default")
    assert program.measured == [Q4_K] * tune.TRIES + [Q6_K] * tune.TRIES
    assert not cache.exists()


def test_force_measures_what_is_remembered_and_replaces_it() -> None:
    for _ in range(2):
        FakeProgram(fast(other=20e9)).tuned()

    forced = [FakeProgram(fast(third=20e9)).tuned("force")["Q4_K"] for _ in range(2)]

    assert forced == [(THIRD, "probed")] * 2
    assert FakeProgram(fast(third=20e9)).tuned()["Q4_K"] == (THIRD, "probed")
    assert FakeProgram().tuned()["Q4_K"] == (THIRD, "cached")


def test_a_busy_machine_does_not_displace_what_is_remembered(cache: Path) -> None:
    FakeProgram(fast(other=20e9)).tuned()
    before = cache.read_text()
    program = FakeProgram(fast(third=30e9))
    program.disturbed = 1000
    program.tuned()

    assert cache.read_text() == before


def test_off_leaves_the_default() -> None:
    program = FakeProgram(fast(other=20e9))

    assert set(program.tuned("off").values()) == {(default_reading(), "default")}
    assert program.measured == []


def test_a_name_is_taken_for_all_weights() -> None:
    program = FakeProgram()

    assert set(program.tuned(OTHER).values()) == {(OTHER, "forced")}
    assert program.readings(False) == program.readings(True) == [OTHER] * 4
    assert program.measured == []


@pytest.mark.parametrize("cache_bytes", [0, 150_000_000, 300_000_000])
def test_weights_that_a_cache_may_hold_are_not_measured(cache_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "largest_cache", lambda: cache_bytes)
    program = FakeProgram()
    program.tuned()

    assert program.measured == {0: [Q4_K, Q6_K], 150_000_000: [Q4_K], 300_000_000: []}[cache_bytes]


def test_generic_kernels_have_nothing_to_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "isa", lambda: "generic")
    program = FakeProgram(fast(other=20e9))

    assert program.tuned()["Q4_K"] == (default_reading(), "default")
    assert program.measured == []


def test_small_models_cost_nothing(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(tiny_model(tmp_path / "m.gguf"), n_threads=1)

    assert {choice.origin for choice in model.tuned} == {"default"}
    assert not cache.exists()


@pytest.mark.parametrize("value", ["auto", "off", "force", *readings(), ""])
def test_the_variable_takes_these_values(value: str) -> None:
    assert tune.setting({"OXILLAMA_TUNE": value}) == (value or "auto")


def test_another_value_is_refused_before_anything_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OXILLAMA_TUNE", "fast")

    with pytest.raises(InvalidParameterError, match=r"^OXILLAMA_TUNE=fast: it is one of auto, off, force, .*1-run"):
        load_model(tiny_model(tmp_path / "m.gguf"), n_threads=1)


def test_the_isa_in_use_is_part_of_the_key(cache: Path) -> None:
    FakeProgram(fast(other=20e9)).tuned()

    assert len(json.loads(cache.read_text())) == 1
    assert "avx2-base, 2 threads" in next(iter(json.loads(cache.read_text())))
