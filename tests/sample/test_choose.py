"""Many sequences' tokens are chosen in one call, as each of them alone would get them, on any number of threads."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.core._core import Choice, Chooser, Sampler, ThreadPool, available_isas, isa
from oxillama.errors import GenerationError, InvalidParameterError
from tests.sample.reference import OFF, choose
from tests.sample.rows import KINDS, row

N_VOCAB = 5003
BANNED = (5, 60)
HISTORY = (3, 7, 7, 100, 11)


@cache
def recorded() -> dict[str, Any]:
    """What the sampler chose when it read one whole row after the other, on one thread."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("recorded.json").read_text())
    return found


CHAINS: dict[str, dict[str, Any]] = {
    name: chain | {"logit_bias": {int(i): bias for i, bias in chain.get("logit_bias", {}).items()}}
    for name, chain in recorded()["chains"].items()
}


def new_sampler(n_vocab: int, seed: int, chain: dict[str, Any]) -> Sampler:
    sampler = Sampler(n_vocab, seed=seed, **{**OFF, **chain})
    for token in HISTORY:
        sampler.accept(token)
    return sampler


@pytest.mark.parametrize("chain", CHAINS)
def test_a_seed_gives_the_recorded_tokens(chain: str) -> None:
    for case in [case for case in recorded()["draws"] if case["chain"] == chain]:
        n, kind = case["n"], case["kind"]
        at = KINDS.index(kind)
        x, sampler, tokens = row(kind, n, at), new_sampler(n, at + n, CHAINS[chain]), []
        for _ in case["tokens"]:
            tokens.append(choose(x, sampler, banned=BANNED)[0])
            sampler.accept(tokens[-1])
        assert tokens == case["tokens"], (n, kind)


def test_log_probabilities_are_the_recorded_ones() -> None:
    def finite(value: float | None) -> float:
        return -math.inf if value is None else value

    for case in recorded()["logprobs"]:
        x = row(case["kind"], case["n"], KINDS.index(case["kind"]))
        _, logprob, top = choose(x, token=3, n_top=5)
        assert logprob == pytest.approx(finite(case["logprob"]), abs=1e-12)
        assert [i for i, _ in top] == [i for i, _ in case["top"]]
        assert [p for _, p in top] == pytest.approx([finite(p) for _, p in case["top"]], abs=1e-12)


Result = tuple[int, float | None, list[tuple[int, float]]] | str


def outcome(choice: Choice) -> Result:
    try:
        return choice.result()
    except (GenerationError, InvalidParameterError) as error:
        return str(error)


class Mixed:
    """Sequences with all parameters and kinds of rows. One has a row of NaN; one bans a token that does not exist."""

    def __init__(self) -> None:
        self.rows = np.stack([row(KINDS[i % len(KINDS)], N_VOCAB, i) for i in range(2 * len(CHAINS) + 4)])
        self.rows[4] = np.nan
        chains = [*CHAINS.values(), *CHAINS.values()]
        self.samplers = [new_sampler(N_VOCAB, i, chain) for i, chain in enumerate(chains)]

    def choices(self) -> list[Choice]:
        """The last four rows' are log-probabilities of given tokens, one of NaN alone."""
        drawn = [
            Choice(s, banned=[N_VOCAB] if i == 9 else BANNED, n_top=(None, 0, 7, N_VOCAB + 5)[i % 4])
            for i, s in enumerate(self.samplers)
        ]
        return [*drawn, *(Choice(token=t, n_top=3) for t in (0, 1, 4999, -1))]

    def steps(self, n_threads: int, order: list[int], together: int) -> dict[int, list[Result]]:
        """Three steps of all sequences in the given order, so many in a call: each sequence's results."""
        pool, chooser = ThreadPool(n_threads), Chooser(N_VOCAB, n_threads)
        found: dict[int, list[Result]] = {i: [] for i in order}
        for _ in range(3):
            choices = self.choices()
            for at in range(0, len(order), together):
                part = order[at : at + together]
                chooser.choose(pool, self.rows[part], [choices[i] for i in part])
            for i in order:
                found[i].append(result := outcome(choices[i]))
                if i < len(self.samplers) and isinstance(result, tuple):
                    self.samplers[i].accept(result[0])
        return found


@cache
def alone() -> dict[int, list[Result]]:
    """Each sequence on one thread, in a call of its own."""
    return Mixed().steps(1, list(range(2 * len(CHAINS) + 4)), 1)


@pytest.mark.parametrize("n_threads", [1, 2, 3, 4, 5])
def test_results_depend_on_neither_threads_nor_company_nor_order(n_threads: int) -> None:
    n = len(alone())
    for order, together in ((list(range(n)), n), (list(range(n))[::-1], n), (list(range(n)), 3)):
        assert Mixed().steps(n_threads, order, together) == alone()


def test_an_error_is_its_own_sequences_alone() -> None:
    errors = {i: results[0] for i, results in alone().items() if isinstance(results[0], str)}
    assert errors == {
        4: "no token is left to choose: every logit is NaN, -inf or banned",
        9: f"banned token id {N_VOCAB} is not between 0 and {N_VOCAB - 1}",
        len(alone()) - 1: f"token id -1 is not between 0 and {N_VOCAB - 1}",
    }


def test_a_row_without_a_choice_is_left_out() -> None:
    x = np.stack([row("flat", 300, seed) for seed in range(3)])
    first, last = Choice(Sampler(300, seed=1, **OFF)), Choice(Sampler(300, seed=2, **OFF))
    Chooser(300, 2).choose(ThreadPool(2), x, [first, None, last])
    assert first.result() == choose(x[0], Sampler(300, seed=1, **OFF))
    assert last.result() == choose(x[2], Sampler(300, seed=2, **OFF))


def test_rows_may_lie_apart() -> None:
    """A runner's rows are padded."""
    wide = np.stack([row("flat", 400, seed) for seed in range(2)])
    choices = [Choice(token=1, n_top=2) for _ in range(2)]
    Chooser(300).choose(None, wide[:, :300], choices)
    assert [c.result() for c in choices] == [choose(x[:300].copy(), token=1, n_top=2) for x in wide]


def test_more_threads_than_the_chooser_has_memory_for() -> None:
    x = np.stack([row("flat", 300, seed) for seed in range(20)])
    choices = [Choice(token=1, n_top=0) for _ in x]
    Chooser(300, 1).choose(ThreadPool(4), x, choices)
    assert [c.result() for c in choices] == [choose(one, token=1, n_top=0) for one in x]


def test_what_cannot_be_chosen_is_refused_whole() -> None:
    x, chooser = np.zeros((2, 300), np.float32), Chooser(300)
    sampler = Sampler(300, seed=1, **OFF)
    with pytest.raises(InvalidParameterError, match="1 choices for 2 rows"):
        chooser.choose(None, x, [Choice(sampler)])
    with pytest.raises(InvalidParameterError, match="299 logits for a vocabulary of 300"):
        chooser.choose(None, x[:, :299], [Choice(sampler), None])
    with pytest.raises(InvalidParameterError, match="contiguous"):
        chooser.choose(None, np.zeros((300, 2), np.float32).T, [Choice(sampler), None])
    twice = Choice(sampler)
    with pytest.raises(InvalidParameterError, match="one at a time"):
        chooser.choose(None, x, [twice, Choice(sampler)])
    with pytest.raises(InvalidParameterError, match="has not been made"):
        twice.result()
    with pytest.raises(InvalidParameterError, match="vocabulary of 299"):
        choose(x[0], Sampler(299, seed=1, **OFF))
    made = Choice(sampler)
    chooser.choose(None, x[:1], [made])
    with pytest.raises(InvalidParameterError, match="a choice is made once"):
        chooser.choose(None, x[:1], [made])


def test_two_threads_do_not_share_a_chooser_at_the_same_time() -> None:
    n = 4_000_000
    x, chooser = np.zeros((1, n), np.float32), Chooser(n)
    slow = Choice(Sampler(n, seed=1, **(OFF | {"top_p": 0.9})))
    with ThreadPoolExecutor(1) as threads:
        drawing = threads.submit(chooser.choose, None, x, [slow])
        refused: list[str] = []
        while not (drawing.done() or refused):
            try:
                chooser.choose(None, x, [None])
            except InvalidParameterError as error:
                refused.append(str(error))
        assert refused == ["another thread is choosing tokens with this memory: one at a time"]
        drawing.result()
    assert 0 <= slow.result()[0] < n


@pytest.mark.parametrize("name", [name for name in available_isas() if name != isa()])
def test_every_isa_gives_the_same_bits(name: str) -> None:
    program = "from tests.sample.test_choose import alone; print(alone())"
    environment = os.environ | {"OXILLAMA_ISA": name}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"{alone()}\n"
