"""Finds a model's wire format: by rules on its chat template's text, then by probing it, else by asking for shape J."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from oxillama.chat.formats.detect.guess import guessed
from oxillama.chat.formats.detect.probe import Probe, Template
from oxillama.chat.formats.detect.rules import FAMILIES, by_rules
from oxillama.chat.formats.families.reasoning import THINK, reasoning_tags
from oxillama.chat.formats.shape import MessageShape
from oxillama.chat.formats.wire import Family, Tags, WireFormat

if TYPE_CHECKING:
    from oxillama.chat.reply.markers import Vocabulary

PROMPTED = FAMILIES["prompted"]

_known: WeakKeyDictionary[Any, WireFormat] = WeakKeyDictionary()


def format_of(template: Template, vocabulary: Vocabulary | None) -> WireFormat:
    """The wire format of the model with this template and vocabulary, found once per template. Blocking."""
    found = _known.get(template)
    if found is None:
        found = _known.setdefault(template, WireFormat(family_of(template, vocabulary), vocabulary))
    return found


def family_of(template: Template, vocabulary: Vocabulary | None) -> Family:
    """The family of the model with this template."""
    source = template.tool_source
    if source is None:
        return replace(PROMPTED, reasoning=_tags((), vocabulary))
    probe = Probe(template)
    found = by_rules(source, vocabulary)
    shown = probe.shows_tools()
    tags = (found.reasoning if found is not None else ()) or reasoning_tags(source)
    if found is not None:
        shape = found.shape
        if shown is not False or isinstance(shape, MessageShape):
            return replace(found, reasoning=_tags(tags, vocabulary))
        tags = _tags(tags or _probed(probe), vocabulary)
        return replace(found, shape=PROMPTED.shape, also=(shape,), reasoning=tags, native=False)
    tags = _tags(tags or _probed(probe), vocabulary)
    if shown:
        replies = probe.replies()
        family = guessed(replies, tags) if replies is not None else None
        if family is not None:
            return family
    return replace(PROMPTED, reasoning=tags)


def _probed(probe: Probe) -> tuple[Tags, ...]:
    """The tags of the reasoning that the template shows."""
    found = probe.reasoning()
    return () if found is None else (found,)


def _tags(tags: tuple[Tags, ...], vocabulary: Vocabulary | None) -> tuple[Tags, ...]:
    """The tags, and those that the vocabulary has tokens for."""
    if THINK in tags or vocabulary is None:
        return tags
    token = vocabulary.find(THINK.open)
    return (*tags, THINK) if token is not None and vocabulary.is_special(token) else tags
