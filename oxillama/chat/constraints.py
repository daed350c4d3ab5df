"""The grammar of a whole reply: reasoning first, if the model thinks, then calls or an answer of a certain form.

It covers the reply from its first token: nothing is constrained inside the reasoning, and nothing is switched on later.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from oxillama.chat.formats.grammar.rules import ANY_TEXT, regex
from oxillama.chat.gbnf import lark_of
from oxillama.chat.options import AnswerFormat, ChatOptions, Grammar, JsonSchema, OneOf, Regex
from oxillama.chat.schemas import resolved
from oxillama.errors import InvalidParameterError

if TYPE_CHECKING:
    from oxillama.chat.formats import Tags, WireFormat
    from oxillama.chat.formats.shape import Lark
    from oxillama.chat.schemas.grammar.context import Spacing

_PIECE = re.compile(r"\\.|.", re.DOTALL)
_BETWEEN_SLASHES = {"/": r"\/", "\n": r"\n", "\\\n": r"\n"}
_UNFORCED = '%llguidance {"no_forcing": true}'
LONGEST = 1 << 16
"""Characters of a client's grammar or regular expression. One of this length may take a second to compile."""
_RULES = f"TEXT: {ANY_TEXT}\nGAP: /\\n{{0,2}}/"


def reply_grammar(format_: WireFormat, options: ChatOptions, prompt_tail: str) -> str | None:
    """The grammar in llguidance's variant of Lark's syntax; None: the reply is free.

    prompt_tail: see `formats.prompt_tail`. Raises InvalidParameterError for what cannot be honoured.
    """
    allowed, asked = options.choice.allowed(options.tools), options.format
    rules = [format_.grammar(allowed, parallel=options.parallel)] if allowed else []
    if options.choice.mode == "required":
        main, asked = "calls", None  # the form of an answer that cannot come
    elif asked is not None:
        main = "(calls | answer)" if allowed else "answer"
        rules += [f"answer: {_answer(format_)}", resolved(f"body: {_body(asked, format_.lark)}", "json")]
    elif any(tool.strict for tool in allowed):
        main, text = _free(format_)
        rules += [f"answer: {_answer(format_)}", f"body: {text}"]
    else:
        return None
    before, more = _before(format_, prompt_tail)
    grammar = "\n".join([f"start: {before}{main}", *more, *rules, _RULES])
    return _with_client(grammar, asked)


def text_grammar(format_: WireFormat, asked: AnswerFormat) -> str:
    """The grammar of a text that is no reply: nothing comes before its form. Raises as `reply_grammar` does."""
    rules = ["start: body", resolved(f"body: {_body(asked, format_.lark)}", "json"), _RULES]
    return _with_client("\n".join(rules), asked)


def _free(format_: WireFormat) -> tuple[str, str]:
    """The expressions for a reply of text, calls, or text and then calls, and for the text.

    Text contains nothing that would be read as a call. Where calls begin with a special token, that is clear. Calls
    that begin with plain text take the place of the whole reply: a lexer cannot find them at the end of any text.
    """
    if format_.family.headed:
        return "(calls | answer)", "TEXT"
    readers, markers = format_.readers, format_.markers
    openers = [opener for reader in readers for opener in (*reader.openers, *reader.at_line)]
    spelled = [markers.spelled(opener) for opener in openers if opener[0] not in markers.ids]
    bare = "".join(reader.bare for reader in readers)
    text = [ANY_TEXT]
    if spelled:
        text.append(f"~/(.|\\n)*({'|'.join(map(regex, spelled))})(.|\\n)*/")
    if bare:
        text.append(f"~/[ \\n\\t]*({'|'.join(map(regex, bare))})(.|\\n)*/")
    plain = bare or any(opener[0] not in markers.ids for reader in readers for opener in reader.openers)
    body = "TEXT" if len(text) == 1 else f"FREE\nFREE: {' & '.join(text)}"
    return ("(calls | answer)" if plain else "(answer calls? | calls)"), body


def _check_length(param: str, text: str) -> None:
    if len(text) > LONGEST:
        message = f"Invalid '{param}': it is {len(text)} characters long; at most {LONGEST} are allowed."
        raise InvalidParameterError(message, param=param)


def place_in(pattern: str, at: int) -> int:
    """Which character of a client's regular expression, from 1 on, stands after `at` characters in the grammar."""
    written = place = 0
    for piece in _PIECE.findall(pattern):
        size = len(_BETWEEN_SLASHES.get(piece, piece))
        if written + size > at:
            return place + min(at - written, len(piece) - 1) + 1
        written, place = written + size, place + len(piece)
    return place + 1


def _with_client(grammar: str, asked: AnswerFormat | None) -> str:
    """The whole grammar with what the client wrote of it.

    Nothing is forced then: a client's short expression may force a million bytes, which no limit of llguidance bounds.
    """
    if isinstance(asked, Regex):
        return f"{_UNFORCED}\n{grammar}"
    if not isinstance(asked, Grammar):
        return grammar
    _check_length("grammar", asked.text)
    text = lark_of(asked.text) if asked.syntax == "gbnf" else asked.text
    own = {"name": "client", "lark_grammar": text}
    return json.dumps({"grammars": [{"lark_grammar": f"{_UNFORCED}\n{grammar}"}, own]})


def _before(format_: WireFormat, tail: str) -> tuple[str, list[str]]:
    """The expression for what comes before the answer, and its rules."""
    tags = format_.family.reasoning
    if not tags:
        return "", []
    opened = max(((tail.rfind(one.open), one) for one in tags), key=lambda place: place[0])
    closed = max(tail.rfind(one.close) for one in tags)
    if opened[0] > closed:
        return "thought GAP ", [f"thought: {_thought(opened[1], format_.lark)}", *_suffix(opened[1], format_.lark)]
    if closed >= 0 and not format_.family.headed:  # where it is, the closer also stands before every reply
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
    return [f"thinking[suffix={json.dumps(plain, ensure_ascii=False)}]: {ANY_TEXT}"] if plain else []


def _answer(format_: WireFormat) -> str:
    """The expression for the body with the tags of the family's answers."""
    tags = next(iter(format_.family.answer), None)
    if tags is None:
        return "body"
    opener, closer = format_.lark.text(tags.open), format_.lark.text(tags.close)
    if format_.family.headed:
        return f"{opener} body"
    return f"({opener})? body ({closer})?" if closer else "body"


def _body(asked: AnswerFormat, lark: Lark) -> str:
    match asked:
        case JsonSchema(schema=schema, strict=strict):
            spacing: Spacing = "none" if strict else "free" if schema == {"type": "object"} else "single"
            return lark.json(schema, spacing=spacing, lenient=not strict)
        case Regex(pattern):
            _check_length("regex", pattern)
            if (pieces := _PIECE.findall(pattern)) and pieces[-1] == "\\":
                message = "Invalid 'regex': it ends with a backslash."
                raise InvalidParameterError(message, param="regex", code="invalid_grammar")
            return f"/{''.join(_BETWEEN_SLASHES.get(piece, piece) for piece in pieces)}/"
        case OneOf(texts):
            return " | ".join(json.dumps(text, ensure_ascii=False) for text in texts)
        case Grammar():
            return "@client"
