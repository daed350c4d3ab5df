"""Chat templates for tests. All share one child process per test process, because starting one takes long."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from oxillama.text import ChatTemplate
from oxillama.text.templates.process import TemplateProcesses
from tests.support.shared import ROOT

PUBLISHED = sorted(ROOT.glob("templates/*.jinja"))
"""The templates of published models; none where ../shared is missing."""

_PROCESSES = TemplateProcesses()


def chat_template(source: str, **named: str) -> ChatTemplate:
    """A template, and others of the same file by name."""
    made = ChatTemplate({"default": source, **named}, {"bos_token": "<s>", "eos_token": "</s>"})
    made._processes = _PROCESSES
    return made


@cache
def published(path: Path) -> ChatTemplate:
    """A published template, probed once in all tests."""
    return chat_template(path.read_text(encoding="utf-8"))
