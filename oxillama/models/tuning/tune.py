"""Choose how a program's packed weights are read, and set it.

The environment variable OXILLAMA_TUNE says how: "auto" (the default) takes what earlier loads on this processor found,
or measures; "off" leaves what suits the processor's family; "force" measures again; the name of a way takes that one.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from oxillama import machine
from oxillama.core._core import Program, ThreadPool, isa, readings, tensor_types
from oxillama.errors import InvalidParameterError
from oxillama.models.tuning.choice import Verdict, judge
from oxillama.models.tuning.remembered import Remembered, key_of, recall, remember

VARIABLE = "OXILLAMA_TUNE"
LEAST_SHARE = 1 / 20
"""Formats with less of the weights keep the default: another choice would not be noticed."""
LEAST_BYTES = 32 << 20
CACHES = 2
"""A format is measured from this many times the largest cache on: weights would be read from the cache otherwise."""
ROUNDS = 8
TRIES = 3
"""Measurements of a format until its rounds agree."""
CONFIRMED = 2
"""A choice that this many loads in a row came to is not measured again."""

Origin = Literal["default", "cached", "probed", "forced"]
Tokens = Literal["1-2", "3+"]
Case = tuple[int, bool]
"""A tensor type, and whether several tokens are multiplied with it at once."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """How weights of one format are read, and where the choice is from.

    weights: the name of the GGUF tensor type. tokens: for how many at once. origin: the processor's family ("default"),
    earlier loads ("cached"), a measurement in this load ("probed"), or OXILLAMA_TUNE ("forced").
    """

    weights: str
    tokens: Tokens
    reading: str
    origin: Origin

    @property
    def case(self) -> str:
        """What the choice is for, as people read it and as it is remembered."""
        return case_name(self.weights, self.tokens)


def case_name(weights: str, tokens: Tokens) -> str:
    return f"{weights}, {tokens} tokens"


def setting(environ: Mapping[str, str] = os.environ) -> str:
    """What OXILLAMA_TUNE says: "auto", "off", "force" or the name of a way. Raises InvalidParameterError."""
    value = environ.get(VARIABLE) or "auto"
    known = ("auto", "off", "force", *readings())
    if value not in known:
        raise InvalidParameterError(f"{VARIABLE}={value}: it is one of {', '.join(known)}")
    return value


def remembered_here(n_threads: int) -> dict[str, str]:
    """Weight format and tokens → the choice that the next load with so many threads takes without measuring."""
    return {name: c.reading for name, c in recall(_key(n_threads), readings()).items() if c.seen >= CONFIRMED}


def tune(program: Program, pool: ThreadPool, how: str) -> list[Tuned]:
    """Set how each packed matrix is read and return the choices, two per format. how: as `setting` says.

    Takes tens of milliseconds if formats must be measured (docs/internals/kernels.md).
    """
    sizes: Counter[int] = Counter()
    for kind, size in zip(program.matrix_types, program.matrix_bytes, strict=True):
        sizes[kind] += size
    names = {kind: tensor_types()[kind][0] for kind in sizes}
    chosen: dict[Case, Tuned] = {}
    for several in (False, True):
        tokens: Tokens = "3+" if several else "1-2"
        for kind, usual in zip(program.matrix_types, program.readings(several), strict=True):
            chosen[kind, several] = Tuned(names[kind], tokens, usual, "default")
    if how in readings():
        chosen = {case: replace(choice, reading=how, origin="forced") for case, choice in chosen.items()}
    if how in ("auto", "force"):
        least = max(LEAST_BYTES, CACHES * machine.largest_cache(), LEAST_SHARE * sizes.total())
        large = {case: choice for case, choice in chosen.items() if sizes[case[0]] >= least}
        chosen |= _measured(program, pool, large, how)
    for matrix, kind in enumerate(program.matrix_types):
        for several in (False, True):
            program.read_as(matrix, several, chosen[kind, several].reading)
    return list(chosen.values())


def _measured(program: Program, pool: ThreadPool, usual: Mapping[Case, Tuned], how: str) -> dict[Case, Tuned]:
    """The choices for these cases: remembered, or else measured and then remembered. usual: the defaults, which stay
    where the rounds do not agree."""
    if not usual or isa() == "generic":  # generic kernels read in one way only
        return {}
    key = _key(pool.n_threads)
    before = {} if how == "force" else recall(key, readings())
    chosen: dict[Case, Tuned] = {}
    found: dict[str, Remembered] = {}
    for case, default in usual.items():
        last = before.get(default.case, Remembered(default.reading, 0))
        if last.seen >= CONFIRMED:
            chosen[case] = replace(default, reading=last.reading, origin="cached")
            continue
        verdict = _verdict(program, pool, case, last.reading)
        if verdict.steady:
            chosen[case] = replace(default, reading=verdict.reading, origin="probed")
            found[default.case] = Remembered(verdict.reading, last.seen + 1 if verdict.reading == last.reading else 1)
    if found:
        remember(key, found)
    return chosen


def _verdict(program: Program, pool: ThreadPool, case: Case, standing: str) -> Verdict:
    """That of the first measurement whose rounds agree, or of the last."""
    for _ in range(TRIES):
        verdict = judge(program.compare_readings(*case, ROUNDS, pool), readings(), standing)
        if verdict.steady:
            break
    return verdict


def _key(n_threads: int) -> str:
    return key_of(machine.processor(), isa(), n_threads, readings())
