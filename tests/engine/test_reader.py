"""A request's reader: the parts of events, the end that it decides, and the tokens that it forces."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from oxillama import Model
from oxillama.engine.api.reading import Reading
from oxillama.engine.api.types import GenerationRequest, SamplingParams, TokenEvent
from oxillama.errors import GenerationError, InvalidParameterError
from tests.engine.harness import Bench, request
from tests.support.fake_engine import EOS, FakeEngine, FakeTokenizer
from tests.support.fake_runner import FakeRunner, hashed, parrot
from tests.support.tiny_models import tiny_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PROMPT = (1, 40, 41)


def ids_of(text: str) -> list[int]:
    return FakeTokenizer().encode(text, False)


class Script:
    """A reader that gives each token's character as a part, and reacts to characters.

    forced: character → the text that is forced after it. stop: the character that ends the generation.
    """

    def __init__(self, forced: dict[str, str] | None = None, stop: str = "", broken: str = "") -> None:
        self.forced, self.stop, self.broken = forced or {}, stop, broken

    def push(self, token_id: int) -> Reading:
        said = FakeTokenizer().decode([token_id]).decode("latin1")
        if said == self.broken:
            raise GenerationError("the reader is broken")
        return Reading((said,), said == self.stop, tuple(ids_of(self.forced.get(said, ""))))

    def end(self, truncated: bool) -> tuple[object, ...]:
        return ("|cut" if truncated else "|whole",)


def said(events: Sequence[TokenEvent]) -> str:
    return "".join(str(part) for event in events for part in event.parts)


def speaker(reply: str, **runner: Any) -> FakeRunner:
    return FakeRunner(next_token=parrot([*ids_of(reply), EOS], len(PROMPT)), **runner)


def run(runner: FakeRunner, script: Script, **sampling: Any) -> tuple[Bench, list[TokenEvent]]:
    bench = Bench(runner)
    (g,) = bench.run(request(PROMPT, reader=lambda: script, **sampling))
    assert not bench.errors
    assert g.usage.completion_tokens == len(bench.events[g])
    return bench, bench.events[g]


def test_parts_come_with_their_tokens_and_the_end() -> None:
    _, events = run(speaker("hello"), Script())
    assert [e.parts for e in events] == [("h",), ("e",), ("l",), ("l",), ("o",), ("|whole",)]
    assert all(e.text == "" for e in events)
    assert events[-1].finish_reason == "stop"


def test_a_limit_tells_the_reader_that_the_text_was_cut() -> None:
    _, events = run(speaker("hello"), Script(), max_tokens=3)
    assert (said(events), events[-1].finish_reason) == ("hel|cut", "length")


def test_no_tokens_still_end_the_reader() -> None:
    bench = Bench(speaker("hello"))
    (g,) = bench.run(request(PROMPT, reader=Script, max_tokens=0))
    assert bench.events[g] == [TokenEvent(None, "", (), "length", ("|cut",))]


def test_the_reader_ends_a_generation() -> None:
    _, events = run(speaker("hello"), Script(stop="l"))
    assert (said(events), events[-1].finish_reason) == ("hel|whole", "stop")


def test_forced_tokens_are_evaluated_in_one_step() -> None:
    bench, events = run(speaker("ab>>>>cd"), Script({"b": ">>>>"}))
    assert said(events) == "ab>>>>cd|whole"
    assert bench.runner.batches == [[3], [1], [5], [1], [1]]
    assert bench.stepper.n_generated_tokens == 9
    assert bench.stepper.n_forced_tokens == 4


def test_the_model_goes_on_from_what_was_forced() -> None:
    """The fake runner's next token depends on every token before it."""
    bench = Bench(FakeRunner(n_batch=16), n_ctx=64)
    (free,) = bench.run(request(PROMPT, max_tokens=2))
    first, second = (token for token in bench.ids(free) if token is not None)
    mark = FakeTokenizer().decode([second]).decode("latin1")
    forced = ids_of("xyz")
    (g,) = bench.run(request(PROMPT, reader=lambda: Script({mark: "xyz"}), max_tokens=7))
    tokens = [*PROMPT, first, second, *forced]
    assert bench.ids(g)[:6] == [first, second, *forced, hashed(tokens, 259)]


def test_forced_tokens_stop_at_the_limit() -> None:
    _, events = run(speaker("ab"), Script({"a": "123456789"}), max_tokens=4)
    assert (said(events), events[-1].finish_reason) == ("a123|cut", "length")


def test_the_context_bounds_forced_tokens() -> None:
    bench = Bench(speaker("ab"), n_ctx=8)
    (g,) = bench.run(request(PROMPT, reader=lambda: Script({"a": "123456789"})))
    assert said(bench.events[g]) == "a1234|cut"


def test_a_forced_token_may_end_the_generation_and_force_others() -> None:
    bench, events = run(speaker("ab"), Script({"a": "1234", "2": "xy"}, stop="y"))
    assert (said(events), events[-1].finish_reason) == ("a1234xy|whole", "stop")
    assert bench.runner.batches == [[3]]  # nothing had to be evaluated for them


def test_a_forced_end_token_ends() -> None:
    class Ending(Script):
        def push(self, token_id: int) -> Reading:
            return replace(super().push(token_id), forced=(EOS, token_id))

    _, events = run(speaker("abc"), Ending())
    assert [e.token_id for e in events] == [*ids_of("a"), EOS]
    assert events[-1].finish_reason == "stop"


def test_log_probabilities_of_forced_tokens_are_the_models() -> None:
    free = run(speaker("ab>>c"), Script(), logprobs=2)[1]
    bench, events = run(speaker("ab>>c"), Script({"b": ">>"}), logprobs=2)
    assert events == free
    assert [len(e.logprobs) for e in events] == [1, 1, 1, 1, 1, 0]
    assert bench.stepper.n_forced_tokens == 0  # each needs its own row of logits


def test_an_unlikely_forced_token_has_its_own_log_probability() -> None:
    _, events = run(speaker("ab"), Script({"a": "z"}), logprobs=1)
    logprob = events[1].logprobs[0]
    assert logprob.token_id == ids_of("z")[0]
    assert logprob.logprob < logprob.top[0][2]
    assert logprob.top[0][0] == ids_of("b")[0]


def test_penalties_see_forced_tokens() -> None:
    """Greedy decoding of "aa" with a heavy penalty on what was forced takes another token."""
    _, events = run(speaker("aabb"), Script({"a": "b"}), presence_penalty=100.0, max_tokens=3)
    assert ids_of("b")[0] not in [e.token_id for e in events[2:]]


def test_more_forced_tokens_than_a_step_has_are_cut() -> None:
    bench, events = run(speaker("a" + "x" * 20 + "b", n_batch=8), Script({"a": "x" * 20}), ignore_eos=False)
    assert said(events) == "a" + "x" * 20 + "b|whole"
    assert bench.runner.batches == [[3], [8], [8], [5], [1]]


def test_forced_tokens_share_steps_with_others_and_leave_them_alone() -> None:
    def alone(prompt: tuple[int, ...]) -> list[int | None]:
        bench = Bench(FakeRunner(), n_kept=0)
        (g,) = bench.run(request(prompt, max_tokens=12))
        return bench.ids(g)

    others = [(1, 50 + k, 60) for k in range(3)]
    bench = Bench(FakeRunner())
    forcing = request(PROMPT, reader=lambda: Script(dict.fromkeys(map(chr, range(256)), "abc")), max_tokens=30)
    g, *rest = bench.run(forcing, *(request(prompt, max_tokens=12) for prompt in others))
    assert [bench.ids(other) for other in rest] == [alone(prompt) for prompt in others]
    assert len(bench.events[g]) == 30


@pytest.mark.parametrize("n_pages", [12, 16, 20])
def test_pauses_do_not_change_what_comes_after_forced_tokens(n_pages: int) -> None:
    def forcing(k: int) -> GenerationRequest:
        return request((1, 40 + k), reader=lambda: Script({chr(c): "abcde" for c in range(128, 256)}), max_tokens=30)

    expected = []
    for k in range(4):
        bench = Bench(FakeRunner())
        (g,) = bench.run(forcing(k))
        expected.append(bench.events[g])
    bench = Bench(FakeRunner(n_pages=n_pages), n_ctx=48, allowance=0)
    generations = bench.run(*map(forcing, range(4)))
    assert bench.stepper.scheduler.n_paused > 0
    assert [bench.events[g] for g in generations] == expected
    assert bench.runner.free_pages == n_pages


def test_the_prefix_cache_knows_forced_tokens() -> None:
    bench = Bench(speaker("ab>>>>cd"), n_kept=4)
    (g,) = bench.run(request(PROMPT, reader=lambda: Script({"b": ">>>>"})))
    (again,) = bench.run(request((*PROMPT, *ids_of("ab>>>>cd"), 99)))
    assert again.usage.cached_tokens == len(PROMPT) + len("ab>>>>cd")
    assert g.usage.completion_tokens == 9


def test_a_model_with_recurrent_states_takes_forced_tokens() -> None:
    bench = Bench(speaker("ab>>>>cd", any_position=False), n_kept=4)
    (g,) = bench.run(request(PROMPT, reader=lambda: Script({"b": ">>>>"})))
    assert said(bench.events[g]) == "ab>>>>cd|whole"
    (again,) = bench.run(request((*PROMPT, *ids_of("ab>>>>cd"), 99)))
    assert again.usage.cached_tokens == len(PROMPT) + len("ab>>>>cd")


def test_a_failing_reader_ends_its_own_request() -> None:
    bench = Bench(FakeRunner(next_token=parrot([*ids_of("hello"), EOS], len(PROMPT))))
    broken, whole = bench.run(
        request(PROMPT, reader=lambda: Script(broken="l")), request((1, 40, 42), reader=Script, max_tokens=5)
    )
    assert str(bench.errors[broken]) == "the reader is broken"
    assert said(bench.events[whole]) == "hello|cut"
    assert bench.runner.free_pages == bench.runner.n_pages


def test_stop_strings_beside_a_reader_are_refused() -> None:
    engine = FakeEngine()
    with pytest.raises(InvalidParameterError, match="the reader"):
        engine._check(request(PROMPT, reader=Script, stop=("x",)))


def test_logits_after_forced_tokens_are_the_same_to_the_bit(tmp_path: Path) -> None:
    """Log-probabilities of the tokens after forced ones, computed in one step and one by one."""

    class Forcing:
        def __init__(self) -> None:
            self.n = 0

        def push(self, token_id: int) -> Reading:
            self.n += 1
            return Reading((token_id,), forced=tuple(range(5, 14)) if self.n == 2 else ())

        def end(self, truncated: bool) -> tuple[object, ...]:
            return ()

    with Model(tiny_model(tmp_path / "m.gguf")) as model:
        sampling = SamplingParams(temperature=0.0, max_tokens=16, ignore_eos=True)
        asked = GenerationRequest(prompt_ids=(3, 4, 5), reader=Forcing, sampling=sampling)
        tokens = [event.token_id for event in model._run(asked) if event.token_id is not None]
        one_by_one = list(model._run(replace(asked, sampling=replace(sampling, logprobs=3))))
        later = replace(sampling, max_tokens=5, logprobs=3)
        plain = model._run(GenerationRequest(prompt_ids=(3, 4, 5, *tokens[:11]), sampling=later))
        assert tokens[2:11] == list(range(5, 14))
        assert [event.token_id for event in one_by_one] == tokens
        assert [event.logprobs for event in one_by_one[11:]] == [event.logprobs for event in plain]


@pytest.mark.parametrize("logprobs", [None, 2])
@pytest.mark.parametrize(
    ("script", "limit", "expected"),
    [
        (Script(), 30, "hello|whole"),
        (Script({"l": "123"}), 30, "hel123l123o|whole"),
        (Script({"l": "123"}), 4, "hel1|cut"),
        (Script({"e": "12"}, stop="2"), 30, "he12|whole"),
    ],
)
async def test_the_scripted_engine_reads_as_the_real_one(
    script: Script, limit: int, expected: str, logprobs: int | None
) -> None:
    asked = request(PROMPT, reader=lambda: script, max_tokens=limit, logprobs=logprobs)
    async with FakeEngine(reply="hello").generate(asked) as stream:
        events = [event async for event in stream]
    assert said(events) == expected
    assert events[-1].finish_reason == ("length" if limit == 4 else "stop")
    assert stream.usage.completion_tokens == len(events)
    assert all(len(event.logprobs) == (logprobs is not None and event.token_id != EOS) for event in events)
