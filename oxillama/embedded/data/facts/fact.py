"""One thing that the documentation says, and how people ask for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """answer: what the model learns to say. must: texts that a right answer contains, letters' case aside; "a|b" is met
    by either. do, about, ask: what one does ("set the port"), what one asks about ("the default port"), whole questions;
    all with {this|that}. test, dev: questions written by hand before the templates were finished, which training leaves
    out; how they fare may guide the writing of templates (the score comes from held_out.DOCUMENTED).
    """

    key: str
    answer: str
    must: tuple[str, ...]
    do: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    test: str
    dev: str

    def met_by(self, answer: str) -> bool:
        """Whether an answer contains the documented fact."""
        said = answer.lower()
        return all(any(option.lower() in said for option in part.split("|")) for part in self.must)
