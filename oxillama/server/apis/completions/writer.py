"""POST /v1/completions: from the choices' events to the answer, whole or in chunks."""

from __future__ import annotations

import math
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from oxillama.server.apis.completions.answer import Completion, CompletionChoice, CompletionLogprobs
from oxillama.server.apis.completions.logprobs import LogprobsBuilder
from oxillama.server.generation.choices import collect, event_of
from oxillama.server.generation.logprobs import text_logprobs
from oxillama.server.generation.usage import Usage
from oxillama.server.http import sse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from oxillama.engine.api.protocol import TokenizerLike
    from oxillama.engine.api.types import FinishReason, TokenLogprob
    from oxillama.server.apis.completions.request import CompletionRequest
    from oxillama.server.generation.choices import Choices, EndedChoice, Item


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt's text, as `echo` returns it, and its tokens."""

    text: str
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CompletionWriter:
    """Writes one answer. Each prompt has its `wire.candidates`, one generation each, prompt by prompt."""

    id: str
    created: int
    model: str
    fingerprint: str
    wire: CompletionRequest
    prompts: Sequence[Prompt]
    tokenizer: TokenizerLike

    async def whole(self, choices: Choices) -> Completion:
        """The answer when every choice has ended."""
        ended = await collect(choices, self.tokenizer.eog_ids)
        made: list[CompletionChoice] = []
        for at, prompt in enumerate(self.prompts):
            first = at * self.wire.candidates
            candidates = ended[first : first + self.wire.candidates]
            if self.wire.ranks:
                candidates.sort(key=mean_logprob, reverse=True)
            for best in candidates[: self.wire.n or 1]:
                made.append(self._choice(len(made), prompt, best, choices.streams[first].prompt_logprobs))
        return self._object(made, self._usage(choices))

    async def chunks(self, choices: Choices, ping_interval: float) -> AsyncGenerator[bytes, None]:
        """The events of the stream: a chunk for each choice first, then its text as it is generated, and the usage."""
        wire, count = self.wire, len(choices.streams)
        eog_ids = self.tokenizer.eog_ids
        prompts = [self.prompts[index // wire.candidates] for index in range(count)]
        builders = [self._logprobs_from(prompt) for prompt in prompts]
        # The echoed prompt is sent with the first event, because its log-probabilities are complete then.
        echo_later = set(range(count)) if wire.echo and wire.logprobs is not None else set()

        def echo(index: int) -> bytes:
            echo_later.discard(index)
            of_prompt = choices.streams[index].prompt_logprobs
            entries = builders[index].of_prompt(prompts[index].ids, of_prompt, self.tokenizer.token_bytes)
            return self.chunk(index, prompts[index].text, entries)

        def render(item: Item) -> bytes:
            index, event = event_of(item)
            head = echo(index) if index in echo_later else b""
            logprobs = text_logprobs(event, eog_ids) if wire.logprobs is not None else ()
            if not (event.text or logprobs or event.finish_reason):
                return head
            entries = builders[index].of_text(logprobs) if logprobs else None
            return head + self.chunk(index, event.text, entries, event.finish_reason)

        for index in range(count):
            yield self.chunk(index, prompts[index].text if wire.echo and not echo_later else "")
        async with aclosing(sse.with_pings(choices.items, ping_interval, render)) as parts:
            async for data in parts:
                yield data
        if wire.include_usage:
            yield sse.event(self._object([], self._usage(choices)))
        yield sse.DONE

    def chunk(
        self, index: int, text: str, entries: CompletionLogprobs | None = None, reason: FinishReason | None = None
    ) -> bytes:
        """The event with a piece of a choice."""
        choice = CompletionChoice(text=text, index=index, logprobs=entries, finish_reason=reason)
        # If usage was requested, it is null in every chunk but the last. If not, no chunk may have the key.
        return sse.event(self._object([choice], None if self.wire.include_usage else msgspec.UNSET))

    def _logprobs_from(self, prompt: Prompt) -> LogprobsBuilder:
        """Echoed tokens may begin with a space that the text lacks, so offsets are counted from the end of the text."""
        length = len(prompt.text)
        if self.wire.echo:
            spelled = b"".join(map(self.tokenizer.token_bytes, prompt.ids)).decode("utf-8", "replace")
            length -= len(spelled)
        return LogprobsBuilder(self.wire.logprobs or 0, length)

    def _choice(
        self, index: int, prompt: Prompt, ended: EndedChoice, of_prompt: Sequence[TokenLogprob | None]
    ) -> CompletionChoice:
        entries = None
        if self.wire.logprobs is not None:
            builder = self._logprobs_from(prompt)
            echoed = prompt.ids if self.wire.echo else ()
            before = builder.of_prompt(echoed, of_prompt, self.tokenizer.token_bytes)
            entries = before + builder.of_text(ended.logprobs)
        text = prompt.text + ended.text if self.wire.echo else ended.text
        return CompletionChoice(text=text, index=index, logprobs=entries, finish_reason=ended.reason)

    def _usage(self, choices: Choices) -> Usage:
        return Usage.of(choices.streams[:: self.wire.candidates], choices.streams)

    def _object(self, choices: list[CompletionChoice], usage: Usage | msgspec.UnsetType | None) -> Completion:
        return Completion(
            id=self.id,
            created=self.created,
            model=self.model,
            system_fingerprint=self.fingerprint,
            choices=choices,
            usage=usage,
        )


def mean_logprob(ended: EndedChoice) -> float:
    """The value that `best_of` ranks by: the mean over the tokens, so that long texts are not at a disadvantage."""
    values = [lp.logprob for lp in ended.logprobs]
    mean = sum(values) / len(values) if values else 0.0
    return mean if math.isfinite(mean) else -math.inf
