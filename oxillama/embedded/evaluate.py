"""python -m oxillama.embedded.evaluate: score the demonstration model with greedy decoding by the project's own engine.

The questions are held out of training. Questions about documented facts and off-topic questions are written by hand;
sums and function calls are generated from a separate seed.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from oxillama.embedded import model_path, scoring
from oxillama.embedded.chat import call_text
from oxillama.embedded.data.conversations import Conversation
from oxillama.embedded.data.facts import FACTS
from oxillama.embedded.data.held_out.calls import CASES
from oxillama.embedded.data.held_out.first import DOCUMENTED, OFF_TOPIC, SMALL_TALK, STORIES
from oxillama.embedded.data.held_out.second import SECOND, SECOND_OFF_TOPIC
from oxillama.embedded.data.turns import numbers, tools
from oxillama.engine.api.config import EngineConfig
from oxillama.engine.api.types import GenerationRequest, SamplingParams
from oxillama.engine.engine import Engine
from oxillama.engine.requests.prompts import prompt_ids
from oxillama.text import ChatTemplate, PromptText

SEED = "held out"
REFUSAL = ("small demonstration model", "oxillama serve --model")


@dataclass(slots=True)
class Case:
    """One question, the test of its answer, and the answer."""

    group: str
    messages: list[dict[str, Any]]
    passes: Callable[[str], bool]
    tools: list[dict[str, Any]] | None = None
    answer: str = field(default="", init=False)

    @property
    def right(self) -> bool:
        return self.passes(self.answer)

    @property
    def shown(self) -> str:
        return f"{self.group}: {self.messages[-1]['content']}\n    {self.answer!r}"


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def contains(parts: Sequence[str]) -> Callable[[str], bool]:
    """Accepts answers that contain every part, in any case; "a|b" means either."""
    return lambda answer: all(any(o in answer.lower() for o in part.lower().split("|")) for part in parts)


def is_story(hero: str) -> Callable[[str], bool]:
    """Accepts complete stories of four or more sentences that name the hero."""
    return lambda answer: answer.count(".") >= 4 and answer.rstrip('"').endswith((".", "!")) and hero in answer


def same_call(expected: str) -> Callable[[str], bool]:
    """Accepts a call of the same function with the same arguments, in the template's format."""

    wanted = scoring.parse_calls(expected)
    return lambda answer: wanted is not None and scoring.parse_calls(answer) == wanted


def held_out_calls() -> list[Case]:
    """Calls that no generator has, as an agent needs them. Whether to call is the model's choice, without a grammar."""
    return [
        Case("held-out calls", user(asked), same_call(call_text(name, arguments)), scoring.tools(names))
        for names, asked, name, arguments in CASES
    ]


def documented_cases() -> list[Case]:
    """The questions of both held-out sets. They give the score."""
    facts = {fact.key: fact for fact in FACTS}
    sets = (("documented facts", DOCUMENTED), ("documented facts, second set", SECOND))
    return [Case(group, user(asked), facts[key].met_by) for group, questions in sets for key, asked in questions]


def development_cases() -> list[Case]:
    """Two questions per fact. They are not trained either, but the authors of the templates knew them."""
    return [
        Case(f"documented facts, {kind} development set", user(asked), fact.met_by)
        for kind, questions in (("first", [f.test for f in FACTS]), ("second", [f.dev for f in FACTS]))
        for fact, asked in zip(FACTS, questions, strict=True)
    ]


def drawn_cases(n: int = 30) -> list[Case]:
    """Generated cases: n each of sums, counting and function calls."""
    rng = random.Random(SEED)
    found = []
    for group, draw in (("sums", numbers.sum_of_two), ("counting", numbers.counting)):
        for _ in range(n):
            asked, answer = draw(rng)
            found.append(Case(group, user(asked), contains([answer])))
    while len(found) < 3 * n:
        conversation: Conversation = tools.sample(rng)
        messages, functions = conversation
        if messages[1]["content"].startswith("<tool_call>"):
            found.append(Case("calls of usual functions", messages[:1], same_call(messages[1]["content"]), functions))
    return found


def all_cases() -> list[Case]:
    """All cases of the table."""
    return [
        *documented_cases(),
        *(Case("refusals off topic", user(asked), contains(REFUSAL)) for asked in OFF_TOPIC),
        *(Case("refusals off topic, second set", user(asked), contains(REFUSAL)) for asked in SECOND_OFF_TOPIC),
        *(Case("small talk", user(asked), contains([words])) for asked, words in SMALL_TALK),
        *(Case("stories", user(asked), is_story(hero)) for asked, hero in STORIES),
        *drawn_cases(),
        *held_out_calls(),
    ]


async def answer_all(path: Path, cases: Sequence[Case], parallel: int = 8) -> None:
    """Fill in the answers, with greedy decoding and at most 300 tokens each."""

    async with Engine.open(path, EngineConfig(parallel=parallel, n_ctx=1024, max_waiting=len(cases))) as engine:

        async def answer(case: Case) -> None:
            def render(template: ChatTemplate) -> PromptText:
                return template.render(case.messages, tools=case.tools)

            ids = await prompt_ids(engine, await engine.with_template(render))
            request = GenerationRequest(prompt_ids=ids, sampling=SamplingParams(temperature=0.0, max_tokens=300))
            async with engine.generate(request) as stream:
                case.answer = "".join([event.text async for event in stream])

        async with trio.open_nursery() as nursery:
            for case in cases:
                nursery.start_soon(answer, case)


Scored = Case | scoring.Task | scoring.Reading


def table(cases: Sequence[Scored]) -> str:
    """A Markdown table of the right answers per group."""
    lines = ["| held-out questions | right | of | |", "|---|---:|---:|---:|"]
    for group in dict.fromkeys(case.group for case in cases):
        own = [case for case in cases if case.group == group]
        right = sum(case.right for case in own)
        lines.append(f"| {group} | {right} | {len(own)} | {right / len(own):.0%} |")
    return "\n".join(lines)


async def run_all(path: Path, others: Sequence[scoring.Task | scoring.Reading], parallel: int = 8) -> None:
    """Let the model do tasks and read texts."""
    config = EngineConfig(parallel=parallel, n_ctx=1024, max_waiting=len(others))
    async with Engine.open(path, config) as engine, trio.open_nursery() as nursery:
        for other in others:
            nursery.start_soon(other.run, engine)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m oxillama.embedded.evaluate", description=__doc__)
    parser.add_argument("--model", type=Path, default=None, help="a GGUF file; the embedded one if left out")
    parser.add_argument("--dev", action="store_true", help="the questions that may guide the writing of templates")
    parser.add_argument("--wrong", action="store_true", help="print the answers that are wrong")
    parser.add_argument("--calls", action="store_true", help="only calls, tasks and JSON answers")
    args = parser.parse_args(argv)
    path = args.model or model_path()
    cases = development_cases() if args.dev else held_out_calls() if args.calls else all_cases()
    trio.run(answer_all, path, cases)
    others: list[scoring.Task | scoring.Reading] = [] if args.dev else [*scoring.all_tasks(), *scoring.all_readings()]
    if others:
        trio.run(run_all, path, others)
    scored: list[Scored] = [*cases, *others]
    if args.wrong:
        for case in scored:
            if not case.right:
                print(case.shown)
    print(table(scored))


if __name__ == "__main__":
    main()
