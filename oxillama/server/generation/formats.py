"""The form of an answer's text, in OpenAI's words and in those of other local servers."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from oxillama.chat.constraints import LONGEST
from oxillama.chat.options import AnswerFormat, Grammar, JsonSchema, OneOf, Regex
from oxillama.server.generation.sampling import SamplingFields
from oxillama.server.wire.errors import bad_request
from oxillama.server.wire.fields import NoValue
from oxillama.server.wire.formats import JsonObjectFormat, JsonSchemaFormat, ResponseFormat

MAX_CHOICES = 1024

FormText = Annotated[str, msgspec.Meta(max_length=LONGEST)]
Alternatives = Annotated[
    list[Annotated[str, msgspec.Meta(min_length=1)]], msgspec.Meta(min_length=1, max_length=MAX_CHOICES)
]


class FormatFields(SamplingFields, frozen=True, kw_only=True):
    """At most one of the fields that it adds may say something about the answer's form."""

    response_format: ResponseFormat | None = None
    grammar: Annotated[
        FormText | None,
        msgspec.Meta(description="GBNF, as llama.cpp takes it, or Lark, as llguidance takes it."),
    ] = None
    regex: Annotated[FormText | None, msgspec.Meta(description="The whole answer matches it.")] = None
    guided_choice: Annotated[Alternatives | None, msgspec.Meta(description="The answer is one of these texts.")] = None

    # What other servers call these fields. Ignoring them would change the answer.
    guided_json: NoValue = None
    guided_regex: NoValue = None
    guided_grammar: NoValue = None
    structured_outputs: NoValue = None
    json_schema: NoValue = None
    ebnf: NoValue = None

    @property
    def answer_format(self) -> AnswerFormat | None:
        """The form of the answer; None: any text. Raises APIError if several fields ask for one."""
        found = {name: asked for name, asked in self._formats() if asked is not None}
        if len(found) > 1:
            first, second = list(found)[:2]
            message = f"'{second}' cannot be combined with '{first}': only one of them can say what the answer is like."
            raise bad_request(message, param=second, code="invalid_value")
        return next(iter(found.values()), None)

    def _formats(self) -> list[tuple[str, AnswerFormat | None]]:
        return [
            ("response_format", _of_response_format(self.response_format)),
            ("grammar", Grammar(self.grammar, "gbnf" if "::=" in self.grammar else "lark") if self.grammar else None),
            ("regex", Regex(self.regex) if self.regex else None),
            ("guided_choice", OneOf(tuple(self.guided_choice)) if self.guided_choice else None),
        ]


def _of_response_format(asked: ResponseFormat | None) -> AnswerFormat | None:
    match asked:
        case JsonObjectFormat():
            schema: dict[str, Any] = {"type": "object"}
            return JsonSchema(schema=schema)
        case JsonSchemaFormat(json_schema=given):
            return JsonSchema(schema=given.schema or {}, name=given.name, strict=bool(given.strict))
        case _:
            return None
