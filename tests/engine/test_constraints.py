"""Generations that follow a grammar: masks in the choice, forced tokens in one step, errors of one request alone."""

from __future__ import annotations

import json
import re
import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import trio

from oxillama import EngineConfig, GenerationRequest, Model, SamplingParams
from oxillama.engine.constraints.filling import MaskFiller
from oxillama.engine.constraints.grammars import LIMITS, LONGEST, MOST_KEPT, STACK, Grammars
from oxillama.engine.engine import Engine
from oxillama.errors import GenerationError, InvalidParameterError, OxillamaError
from tests.engine.harness import Bench, request
from tests.support.fake_engine import EOS, FakeTokenizer
from tests.support.fake_runner import FakeRunner, bundle
from tests.support.tiny_models import tiny_model

if TYPE_CHECKING:
    from pathlib import Path

    from oxillama.engine.constraints.grammars import Grammar

WORDS = 'start: "ab" ("x" | "y") "end" /[0-9]{2,4}/'
OBJECT = r"""start: "{\"name\": \"" /[a-z]{1,5}/ "\", \"age\": " /[1-9][0-9]?/ "}" """


@cache
def grammars() -> Grammars:
    return Grammars(FakeTokenizer(), FakeTokenizer.n_vocab)


def grammar(text: str) -> Grammar:
    return grammars().compile(text)


def run(text: str, runner: FakeRunner | None = None, **sampling: Any) -> tuple[Bench, str, Any]:
    bench = Bench(runner)
    (g,) = bench.run(request(constraint=grammar(text), **sampling))
    assert not bench.errors
    return bench, bench.text(g), bench.events[g]


@pytest.mark.parametrize("text", [WORDS, OBJECT])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_generated_fits_the_grammar(text: str, seed: int) -> None:
    _, said, events = run(text, temperature=1.5, seed=seed)
    if text == WORDS:
        assert re.fullmatch("ab[xy]end[0-9]{2,4}", said)
    else:
        assert json.loads(said).keys() == {"name", "age"}
    assert events[-1].finish_reason == "stop"


def test_forced_tokens_take_one_step_and_are_counted() -> None:
    bench, said, events = run(OBJECT)
    n_chosen = len(bench.runner.batches)  # each step chooses a token, or takes the first of those that are forced
    assert bench.stepper.n_forced_tokens == len(said) - n_chosen
    assert bench.stepper.n_generated_tokens == len(events) == len(said)
    assert bench.stepper.n_forced_tokens > 15
    assert bench.runner.batches[1] == [len('{"name": "')]


@pytest.mark.parametrize("text", [WORDS, OBJECT])
def test_jumping_ahead_changes_no_token(text: str) -> None:
    slow, said, _ = run('%llguidance {"no_forcing": true}\n' + text)
    assert slow.stepper.n_forced_tokens == 0
    fast, again, _ = run(text)
    assert again == said
    assert len(fast.runner.batches) < len(slow.runner.batches)


def test_forced_tokens_have_log_probabilities_of_the_model() -> None:
    _, plain, _ = run(OBJECT)
    _, said, events = run(OBJECT, logprobs=2)
    assert said == plain
    logprobs = [logprob for event in events for logprob in event.logprobs]
    assert b"".join(p.piece for p in logprobs).decode() == said
    assert all(len(p.top) == 2 for p in logprobs)
    assert logprobs[0].top[0][0] != logprobs[0].token_id  # the model would have said something else
    assert logprobs[0].logprob < logprobs[0].top[0][2] <= 0


def test_the_generation_ends_where_nothing_but_the_end_may_come() -> None:
    _, said, events = run('start: "abc"', min_tokens=30)
    assert said == "abc"
    assert (len(events), events[-1].finish_reason) == (3, "stop")


def test_min_tokens_bans_the_end_as_long_as_more_may_come() -> None:
    _, short, _ = run("start: /[a-f]{1,9}/", FakeRunner(next_token=lambda *_: EOS))
    assert len(short) == 1
    _, longer, _ = run("start: /[a-f]{1,9}/", FakeRunner(next_token=lambda *_: EOS), min_tokens=4)
    assert len(longer) == 4


def test_max_tokens_cuts_it() -> None:
    _, said, events = run(OBJECT, max_tokens=4)
    assert (said, events[-1].finish_reason) == ('{"na', "length")


def test_bias_and_penalties_work_on_what_the_grammar_allows() -> None:
    wanted = FakeTokenizer().encode("y", False)[0]
    assert "y" in run(WORDS, logit_bias={wanted: 50.0})[1]
    assert "x" in run(WORDS, logit_bias={wanted: -50.0})[1]


def test_a_constrained_generation_shares_steps_with_free_ones_and_changes_none() -> None:
    alone = Bench()
    (g,) = alone.run(request((3, 4), max_tokens=20))
    bench = Bench()
    free, bound = bench.run(request((3, 4), max_tokens=20), request(constraint=grammar(OBJECT)))
    assert bench.ids(free) == alone.ids(g)
    assert json.loads(bench.text(bound))
    assert bench.text(bound) == run(OBJECT)[1]


def test_it_goes_on_after_a_pause() -> None:
    bench = Bench(FakeRunner(n_pages=17), allowance=4)
    old, young = bench.run(
        request((3, 4)), request((5, 6), constraint=grammar('start: "a" /[a-z]{40}/ "zzz"'), temperature=1.0, seed=3)
    )
    assert bench.stepper.scheduler.n_paused > 0
    assert re.fullmatch("a[a-z]{40}zzz", bench.text(young))
    assert bench.errors == {}
    assert len(bench.ids(old)) == 62


def test_a_failed_step_is_repeated_without_losing_the_mask() -> None:
    bench = Bench(FakeRunner(poison=200))
    bound, bad = bench.run(request(constraint=grammar(WORDS)), request((3, 200, 5), max_tokens=6))
    assert isinstance(bench.errors[bad], GenerationError)
    assert re.fullmatch("ab[xy]end[0-9]{2,4}", bench.text(bound))


def test_a_grammar_that_fails_on_the_way_ends_its_own_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mask of a grammar that has failed allows the end, as if the text were whole."""
    monkeypatch.setitem(LIMITS, "max_items_in_row", 2_000)
    bench = Bench()
    hostile = grammar('start: "x" ' + "|".join(f"/w{i}[a-z]+/" for i in range(3000)))
    bad, good = bench.run(request(constraint=hostile), request((3, 4), max_tokens=20))
    assert len(bench.ids(good)) == 20
    assert "could not follow its grammar" in str(bench.errors[bad])


def test_long_chains_of_rules_do_not_exhaust_the_stack() -> None:
    rules = "\n".join(f'r{i}: "a" r{i + 1} | "b" r{i + 1}' for i in range(6000))
    assert grammar(f'start: r0\n{rules}\nr6000: "z"').n_vocab == FakeTokenizer.n_vocab


def test_compiling_in_two_threads_leaves_the_size_of_stacks_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Grammars(FakeTokenizer(), FakeTokenizer.n_vocab)
    sized, before = threading.stack_size, threading.stack_size()
    together = threading.Barrier(2)

    def slowly(size: int) -> int:
        last = sized(size)
        if size == STACK:
            time.sleep(0.1 if last == before else 0.3)  # the second to set it would be the last to restore it
        return last

    def compiled(text: str) -> None:
        together.wait()
        known.compile(text)

    threads = [threading.Thread(target=compiled, args=(f'start: "{word}"',)) for word in "ab"]
    monkeypatch.setattr(threading, "stack_size", slowly)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sized() == before
    finally:
        sized(before)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Empty grammar"),
        ("start: (", "Expected"),
        ("begin: /a/", "start"),
        ("start: <nosuch>", "nosuch"),
        ("start: /(?=a)b/", "look-around"),
        ("start: A\nA: " + " & ".join(f"/(.|\\n)*{c}(.|\\n){{{n}}}/" for n, c in enumerate("abcdefghij", 20)), "fuel"),
        ("start: " + "(" * 500 + '"a"' + ")" * 500, "deep"),
        ("x" * (LONGEST + 1), "characters long"),
    ],
)
def test_a_grammar_that_cannot_be_used_is_one_line(text: str, problem: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        grammar(text)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_grammars_are_kept_up_to_a_number() -> None:
    known = Grammars(FakeTokenizer(), FakeTokenizer.n_vocab)
    first = known.compile('start: "0"')
    assert known.compile('start: "0"') is first
    for i in range(MOST_KEPT):
        known.compile(f'start: "1{i}"')
    assert known.find('start: "0"') is None
    assert known.find('start: "1"') is None
    assert known.find(f'start: "1{MOST_KEPT - 1}"') is not None


def test_padding_of_the_vocabulary_is_never_allowed() -> None:
    wide = Grammars(FakeTokenizer(), 300).compile("start: /(.|\\n)+/")
    bits = np.unpackbits(wide.follow().mask.view(np.uint8), bitorder="little")
    assert not bits[FakeTokenizer.n_vocab :].any()
    assert bits[FakeTokenizer().encode("a", False)[0]]


def test_special_tokens_are_matched_by_name_and_no_text_matches_them() -> None:
    follower = grammar('start: /[^<]*/ <s> "</s>"').follow()
    follower.accept(FakeTokenizer().encode("a", False)[0])
    follower.fill()
    bits = np.unpackbits(follower.mask.view(np.uint8), bitorder="little")
    assert bits[FakeTokenizer().find("<s>")]
    assert not bits[EOS]
    follower.accept(1)
    assert follower.forced() == tuple(FakeTokenizer().encode("</s>", False))


def test_masks_are_filled_beside_the_caller_and_its_errors_reach_it() -> None:
    threads: list[str] = []

    class Spy:
        def fill(self) -> None:
            threads.append(threading.current_thread().name)

    class Broken:
        def fill(self) -> None:
            raise RuntimeError("broken")

    filler = MaskFiller()
    filler.begin([Spy(), Spy()])
    filler.wait()
    assert threads == ["oxillama-masks"] * 2
    filler.wait()
    filler.begin([Broken()])
    with pytest.raises(RuntimeError, match="broken"):
        filler.wait()
    filler.begin([Spy()])
    filler.wait()  # the error was that of one step
    assert len(threads) == 3
    filler.begin([Broken()])
    with pytest.raises(RuntimeError, match="broken"):
        filler.close()
    assert filler._thread is None
    filler.close()


def test_a_grammar_of_another_model_is_refused(tmp_path: Path) -> None:
    foreign = Grammars(FakeTokenizer(), 999).compile('start: "a"')
    path = tiny_model(tmp_path / "tiny.gguf")
    with Model(path) as model, pytest.raises(InvalidParameterError, match="another model"):
        list(model.events([1], constraint=foreign))


def test_a_model_without_a_vocabulary_has_no_grammars() -> None:
    made = bundle(FakeRunner(), n_ctx=64, n_slots=1, text=False)
    with pytest.raises(OxillamaError, match="without a vocabulary"):
        _ = made.vocabulary.grammars


def test_model_and_engine_follow_the_same_grammar(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "tiny.gguf", vocab="bpe")
    sampling = SamplingParams(temperature=1.0, seed=5)
    with Model(path) as model:
        said = "".join(model.generate([1], sampling, model.compile_grammar(WORDS)))
    assert re.fullmatch("ab[xy]end[0-9]{2,4}", said)

    async def served() -> str:
        async with Engine.open(path, EngineConfig()) as engine:
            constraint = await engine.compile_grammar(WORDS)
            assert await engine.compile_grammar(WORDS) is constraint
            with pytest.raises(InvalidParameterError):
                await engine.compile_grammar("start: (")
            asked = GenerationRequest(prompt_ids=(1,), sampling=sampling, constraint=constraint)
            async with engine.generate(asked) as stream:
                text = "".join([event.text async for event in stream])
            assert engine.statistics().forced_tokens_total > 0
            return text

    assert trio.run(served) == said


def test_a_foreign_grammar_is_tried_in_a_child_process_first() -> None:
    known = Grammars(FakeTokenizer(), FakeTokenizer.n_vocab)
    assert known.compile('start: "a"', foreign=True) is known.compile('start: "a"', foreign=True)
    chain = "start: r0\n" + "\n".join(f"r{i}: r{i + 1}" for i in range(5000))
    for text, problem in (("start: (", "Expected"), (chain, "too deep, too large or takes too long")):
        with pytest.raises(InvalidParameterError, match=problem):
            known.compile(text, foreign=True)


@pytest.mark.slow
def test_others_are_answered_while_a_hostile_grammar_is_tried(tmp_path: Path) -> None:
    """Its error takes llguidance longer to describe than a child process may compute."""
    path = tiny_model(tmp_path / "tiny.gguf", vocab="bpe")
    hostile = "start: r0\n" + "\n".join(f"r{i}: r{i + 1}" for i in range(1200))
    order: list[str] = []

    async def served() -> None:
        async with Engine.open(path, EngineConfig()) as engine, trio.open_nursery() as nursery:

            async def attack() -> None:
                with pytest.raises(InvalidParameterError, match="takes too long to compile"):
                    await engine.compile_grammar(hostile, foreign=True)
                order.append("refused")

            nursery.start_soon(attack)
            constraint = await engine.compile_grammar(WORDS)
            for _ in range(5):
                asked = GenerationRequest(prompt_ids=(1,), sampling=SamplingParams(seed=1), constraint=constraint)
                async with engine.generate(asked) as stream:
                    assert [event async for event in stream][-1].finish_reason == "stop"
                order.append("answered")

    trio.run(served)
    assert order == ["answered"] * 5 + ["refused"]
