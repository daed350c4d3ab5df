"""One running request in the compute thread: what to choose from its rows of logits, and its events."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from oxillama.core._core import Choice
from oxillama.engine.api.types import Timings, TokenEvent, TokenLogprob, Usage
from oxillama.engine.decoding.output import Shown
from oxillama.engine.decoding.sampling import RequestSampler, token_logprob
from oxillama.engine.ticket import Ticket
from oxillama.errors import GenerationError, InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Sequence

    import numpy.typing as npt

    from oxillama.engine.api.constraint import Follower
    from oxillama.engine.api.sampling import SamplerSettings
    from oxillama.engine.api.types import FinishReason, GenerationRequest
    from oxillama.engine.decoding.vocabulary import Vocabulary
    from oxillama.engine.ticket import Slice

ROWS_PER_STEP = 64
"""Most prompt positions per step that yield logits, when log-probabilities of the prompt are asked for."""


class Generation:
    """A request with its sampler and its text. Reading `usage` and `timings` is safe from any thread."""

    def __init__(
        self,
        request: GenerationRequest,
        vocabulary: Vocabulary,
        defaults: SamplerSettings,
        *,
        n_ctx: int,
        now: float,
        limit_s: float,
    ) -> None:
        """`request` has been checked (requests/check.py); `now` and the times below are seconds of one monotonic clock.

        defaults: the sampling defaults.
        """
        self.request = request
        self.prompt = np.array(request.prompt_ids, np.int32)
        room = n_ctx - len(self.prompt)
        wanted = request.sampling.max_tokens
        self.n_max = room if wanted is None else min(wanted, room)
        self.ticket = Ticket(
            n_prompt=len(self.prompt),
            n_limit=len(self.prompt) + self.n_max,
            priority=request.priority,
            max_slice=ROWS_PER_STEP if request.prompt_logprobs is not None else 2**31 - 1,
        )
        self.seq: int | None = None
        self.completion: list[int] = []
        self.dropped = False
        self.n_forced = 0  # tokens of the completion that no step had to choose
        self.n_cached = 0  # prompt tokens that were computed for another request
        self.n_saved = 0  # where its last checkpoint is
        self.prompt_logprobs: list[TokenLogprob | None] = []
        self.limit_s = limit_s
        self.ended: float | None = None
        self._vocabulary = vocabulary
        self._ends = (
            request.sampling.stop_token_ids
            if request.sampling.ignore_eos
            else request.sampling.stop_token_ids | vocabulary.eog_ids
        )
        self._settings = defaults.with_params(request.sampling)
        self._output = vocabulary.output(request)
        strings = request.sampling.banned_strings
        self._banned = vocabulary.banned_strings(strings) if strings else None
        self._begun = 0  # what a banned string may have begun with: a state of `_banned`
        self._due: deque[int] = deque()  # forced tokens that are not taken yet
        self._sampler: RequestSampler | None = None
        self._follower: Follower | None = None
        self._added = now
        self._admitted = self._first = self._last = -1.0

    @property
    def usage(self) -> Usage:
        return Usage(len(self.prompt), len(self.completion), self.n_cached)

    @property
    def may_reuse(self) -> bool:
        """Whether the prompt may use cached results: false if logits of every position are wanted."""
        return self.request.cache_prompt and self.request.prompt_logprobs is None

    @property
    def cache_key(self) -> Hashable:
        """Only generations with the same key share results: the keys and values depend on nothing but it and tokens."""
        return self.request.cache_scope

    @property
    def n_computed(self) -> int:
        """Tokens in the cache."""
        return self.ticket.n_computed

    def known_tokens(self) -> npt.NDArray[np.int32]:
        """Prompt and completion so far."""
        return np.concatenate([self.prompt, np.array(self.completion, np.int32)])

    def timings(self, now: float) -> Timings:
        """Up to `now` while it runs, and to its end after that."""
        now = self.ended if self.ended is not None else now
        admitted = self._admitted if self._admitted >= 0 else now
        first = self._first if self._first >= 0 else now
        last = self._last if self._last >= 0 else now
        return Timings(admitted - self._added, max(0.0, first - admitted), max(0.0, last - first))

    @property
    def deadline(self) -> float:
        return self._added + self.limit_s

    def begin(self, now: float) -> None:
        """Prepare for the first step, or for the next one after a pause.

        Raises MemoryError, and may then be called again.
        """
        if self._sampler is None:
            self._sampler = RequestSampler(self._settings, self.request, self._vocabulary)
            if self.request.constraint is not None:
                self._follower = self.request.constraint.follow()
                self._due.extend(self._follower.forced())
            self._admitted = now

    def release(self, now: float) -> None:
        """End: free the sampler's memory now, even if the stream is still referenced."""
        self.dropped = True
        self.ended = now
        self._sampler = self._follower = None

    def wants_rows(self, piece: Slice) -> int:
        """How many of the slice's positions, counted from its end, must yield logits."""
        return piece.count if self._scores(piece) else int(piece.completes)

    def _scores(self, piece: Slice) -> bool:
        """Whether log-probabilities of the prompt come from this slice; after the first token they are complete."""
        return self.request.prompt_logprobs is not None and not self.completion and piece.start < len(self.prompt)

    def tokens(self, piece: Slice) -> npt.NDArray[np.int32] | int:
        """The slice's token ids."""
        start, end, n_prompt = piece.start, piece.start + piece.count, len(self.prompt)
        if end <= n_prompt:
            return self.prompt[start:end]
        if piece.count == 1:
            return self.completion[start - n_prompt]
        later = np.array(self.completion[max(0, start - n_prompt) : end - n_prompt], np.int32)
        return np.concatenate((self.prompt[start:], later))

    def choices(self, piece: Slice) -> list[Choice | None]:
        """What to choose from each row that the slice yields, before it is evaluated. Raises MemoryError."""
        n_rows = self.wants_rows(piece)
        if not n_rows:
            return []
        end = piece.start + piece.count
        found: list[Choice | None] = [self._scored(position) for position in range(end - n_rows + 1, end)]
        found.append(self._drawn() if piece.completes else self._scored(end))
        return found

    def _scored(self, position: int) -> Choice:
        """The log-probability of a token of the prompt, from the row of the position before it."""
        return Choice(token=int(self.prompt[position]), n_top=self.request.prompt_logprobs or 0)

    def unfilled(self, piece: Slice) -> Follower | None:
        """The follower whose mask the slice's choice needs; None if it needs no mask."""
        return self._follower if piece.completes and self.n_max and not self._due else None

    def _drawn(self) -> Choice | None:
        """The next token, which a prompt alone has not."""
        if self.n_max == 0:
            return None
        if self._due:
            return Choice(token=self._due[0], n_top=self.request.sampling.logprobs)
        assert self._sampler is not None
        return Choice(
            self._sampler.core,
            banned=self._excluded(),
            n_top=self.request.sampling.logprobs,
            allowed=self._follower.mask if self._follower is not None else None,
        )

    def reconsidered(self, choices: Sequence[Choice | None], piece: Slice) -> Choice | None:
        """What to choose instead, if the constraint refuses the token that was chosen after all; None: it is good."""
        follower = self._follower
        if follower is None or not piece.completes or self._due or (drawn := choices[-1]) is None:
            return None
        try:
            token, _, _ = drawn.result()
        except GenerationError:  # `take` raises it
            return None
        return self._drawn() if token not in self._ends and follower.refuses(token) else None

    def _excluded(self) -> Collection[int] | npt.NDArray[np.int32]:
        """The tokens that must not be chosen next."""
        ends = self._ends if self._is_early else frozenset[int]()
        if self._banned is None:
            return ends
        completing = self._banned.tokens(self._begun)
        return np.concatenate([completing, np.fromiter(ends, np.int32, len(ends))]) if ends else completing

    @property
    def _is_early(self) -> bool:
        return len(self.completion) < self.request.sampling.min_tokens

    def take(self, choices: Sequence[Choice | None], piece: Slice, now: float) -> list[TokenEvent]:
        """Note that the slice was evaluated, and take the token that was chosen if it completes the known tokens.

        choices: those of `choices(piece)`, made. Returns an event for each new token: none while the prompt is being
        read, and several if the reader forces some. The event with a finish_reason is the last one. Raises
        GenerationError if the logits are NaN, InvalidParameterError if bans leave nothing that the constraint allows,
        and what the reader raises.
        """
        if self._scores(piece):
            self._take_scores(choices[: -1 if piece.completes else None], piece.start)
        if not piece.completes:
            return []
        if self._first < 0:
            self._first = now
        self._last = now
        if (drawn := choices[-1]) is None:
            return [self._last_event(None, Shown(), "length")]
        token, value, top = self._chosen(drawn)
        if self._due:
            self._due.popleft()
        logprob = token_logprob(self._vocabulary, token, value, top) if value is not None else None
        events = [self._next(token, logprob)]
        # Forced tokens need no logits to be chosen, only to have log-probabilities. Then they are taken one by one.
        while self._due and logprob is None and events[-1].finish_reason is None:
            self.n_forced += 1
            events.append(self._next(self._due.popleft()))
        return events

    def _chosen(self, drawn: Choice) -> tuple[int, float | None, list[tuple[int, float]]]:
        try:
            return drawn.result()
        except GenerationError:
            sampling = self.request.sampling
            if self.request.constraint is None or not (sampling.banned_strings or sampling.logit_bias):
                raise
            param = "banned_strings" if sampling.banned_strings else "logit_bias"
            message = f"Invalid '{param}': no token is left to choose, since all that the form allows is excluded."
            raise InvalidParameterError(message, param=param) from None

    def _next(self, token: int, logprob: TokenLogprob | None = None) -> TokenEvent:
        sampler, follower, early = self._sampler, self._follower, self._is_early
        assert sampler is not None
        if follower is not None:
            follower.check()
        sampler.accept(token)
        self.completion.append(token)
        if token in self._ends:
            return self._last_event(token, Shown(), "stop")
        if follower is not None:
            follower.accept(token)
        if self._banned is not None:
            begun = self._banned.after(self._begun, self._vocabulary.token_bytes(token))
            if begun is None:  # no such token is chosen, so it was forced
                message = "Invalid 'banned_strings': the answer's form demands one of them."
                raise InvalidParameterError(message, param="banned_strings")
            self._begun = begun
        shown = self._output.push(token, logprob, heed_stops=not early)
        if shown.stop:
            return self._last_event(token, shown, "stop")
        if len(self.completion) >= self.n_max:
            return self._last_event(token, shown, "length")
        if follower is not None and follower.ended:
            return self._last_event(token, shown, "stop")
        self._due.extend(shown.forced)
        if follower is not None and not self._due:
            self._due.extend(follower.forced())
        return TokenEvent(token, shown.text, shown.logprobs, None, shown.parts)

    def _last_event(self, token: int | None, shown: Shown, reason: FinishReason) -> TokenEvent:
        rest = self._output.end(reason)
        return TokenEvent(
            token, shown.text + rest.text, shown.logprobs + rest.logprobs, reason, shown.parts + rest.parts
        )

    def _take_scores(self, choices: Sequence[Choice | None], start: int) -> None:
        if start == 0:
            self.prompt_logprobs = [None]
        for choice in choices:
            assert choice is not None
            token, value, top = choice.result()
            assert value is not None
            self.prompt_logprobs.append(token_logprob(self._vocabulary, token, value, top))
