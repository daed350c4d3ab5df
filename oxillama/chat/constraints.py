"""The grammar of a whole reply: reasoning first, if the model thinks, then calls or an answer of a certain form.

It covers the reply from its first token: nothing is constrained inside the reasoning, and nothing is switched on later.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from oxillama.chat.formats.harmony import Harmony
from oxillama.chat.options import AnswerFormat, ChatOptions, Grammar, JsonSchema, OneOf, Regex
from oxillama.errors import InvalidParameterError

if TYPE_CHECKING:
    from oxillama.chat.formats import Tags, WireFormat
    from oxillama.chat.formats.shape import Lark

_ANYTHING = "/(.|\\n)*/"  # but no special tokens
_SLASH, _ESCAPED = re.compile(r"(\\.)|/", re.DOTALL), r"\/"
_RULES = f"TEXT: {_ANYTHING}\nGAP: /\\n{{0,2}}/"


def reply_grammar(format_: WireFormat, options: ChatOptions, prompt_tail: str) -> str | None:
    """The grammar in llguidance's variant of Lark's syntax; None: the reply is free.

    prompt_tail: see `formats.prompt_tail`. Raises InvalidParameterError for what cannot be honoured.
    """
    parts, rules = [], []
    if options.choice.mode == "required":
        parts.append("calls")
        rules.append(format_.grammar(options.choice.allowed(options.tools), parallel=options.parallel))
    elif options.format is not None:
        if allowed := options.choice.allowed(options.tools):
            parts.append("calls")
            rules.append(format_.grammar(allowed, parallel=options.parallel))
        parts.append("answer")
        rules += [f"answer: {_answer(format_)}", f"body: {_body(options.format, format_.lark)}"]
    else:
        return None
    before, more = _before(format_, prompt_tail)
    main = parts[0] if len(parts) == 1 else f"({' | '.join(parts)})"
    return "\n".join([f"start: {before}{main}", *more, *rules, _RULES])


def _before(format_: WireFormat, tail: str) -> tuple[str, list[str]]:
    """The expression for what comes before the answer, and its rules."""
    tags = format_.family.reasoning
    if not tags:
        return "", []
    opened = max(((tail.rfind(one.open), one) for one in tags), key=lambda place: place[0])
    closed = max(tail.rfind(one.close) for one in tags)
    if opened[0] > closed:
        return "thought GAP ", [f"thought: {_thought(opened[1], format_.lark)}", *_suffix(opened[1], format_.lark)]
    if closed >= 0 and not isinstance(format_.family.shape, Harmony):
        return "", []
    own = tags[0]
    thought = [f"thought: {format_.lark.text(own.open)} {_thought(own, format_.lark)}", *_suffix(own, format_.lark)]
    return "(thought GAP)? ", thought


def _thought(tags: Tags, lark: Lark) -> str:
    """The expression for the text of the reasoning and the closer."""
    plain, special = lark.split(tags.close)
    return f"thinking {special}" if plain else f"TEXT {special}"


def _suffix(tags: Tags, lark: Lark) -> list[str]:
    """The rule for text up to a closer that is plain text, at least at its beginning."""
    plain, _ = lark.split(tags.close)
    return [f"thinking[suffix={json.dumps(plain, ensure_ascii=False)}]: {_ANYTHING}"] if plain else []


def _answer(format_: WireFormat) -> str:
    """The expression for the body with the tags of the family's answers."""
    tags = next(iter(format_.family.answer), None)
    if tags is None:
        return "body"
    opener, closer = format_.lark.text(tags.open), format_.lark.text(tags.close)
    if isinstance(format_.family.shape, Harmony):
        return f"{opener} body"
    return f"({opener})? body ({closer})?" if closer else "body"


def _body(asked: AnswerFormat, lark: Lark) -> str:
    match asked:
        case JsonSchema(schema=schema):
            return lark.json(schema)
        case Regex(pattern):
            return f"/{_SLASH.sub(lambda found: found[1] or _ESCAPED, pattern)}/"
        case OneOf(texts):
            return " | ".join(json.dumps(text, ensure_ascii=False) for text in texts)
        case Grammar():
            raise InvalidParameterError("Unsupported parameter: 'grammar'.", param="grammar")
