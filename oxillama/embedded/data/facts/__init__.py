"""What the documentation says, by topic."""

from __future__ import annotations

from oxillama.embedded.data.facts import (
    answers,
    assistants,
    commands,
    figures,
    models,
    pages,
    python,
    requests,
    serving,
)
from oxillama.embedded.data.facts.fact import Fact

__all__ = ["FACTS", "Fact"]

FACTS: tuple[Fact, ...] = (
    *serving.FACTS,
    *requests.FACTS,
    *answers.FACTS,
    *assistants.FACTS,
    *commands.FACTS,
    *models.FACTS,
    *python.FACTS,
    *pages.FACTS,
    *figures.FACTS,
)
