"""Whether a whole reply matches the schemas that were given without `strict`.

A grammar may leave out keywords of such a schema, and arguments of calls have no grammar at all if the model may choose
to call. The reply is sent as it is; what is found here is for the operator.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from oxillama.chat.options import ChatOptions, JsonSchema
from oxillama.chat.schemas.document import Document, SchemaError
from oxillama.chat.schemas.values import Checker

if TYPE_CHECKING:
    from oxillama.chat.reply.message import Reply

Param = Literal["response_format", "tools"]
Validator = Callable[["Reply"], "Param | None"]
"""The parameter whose schema a reply does not match; None: there is no such one. Blocks."""


def validator(options: ChatOptions, *, tried: bool) -> Validator | None:
    """The check of a reply to a request; None: nothing has to be checked.

    tried: the schemas' regular expressions were compiled on trial. Schemas with others are passed over: a client's
    expression may take for ever to compile.
    """
    form = options.format
    answer = form.schema if isinstance(form, JsonSchema) and not form.strict else None
    functions = {tool.name: tool.parameters for tool in options.choice.allowed(options.tools) if not tool.strict}
    schemas = {
        name: schema for name, schema in functions.items() if schema is not None and (tried or not has_patterns(schema))
    }
    if answer is None and not schemas:
        return None

    def check(reply: Reply) -> Param | None:
        if reply.finish_reason == "length":
            return None
        # One for all calls of a function: what a schema may cost it costs once, and a reply may have thousands.
        matches = {name: _matching(schemas[name]) for name in {call.name for call in reply.tool_calls} & set(schemas)}
        if any(call.name in matches and not matches[call.name](call.arguments) for call in reply.tool_calls):
            return "tools"
        if answer is not None and not reply.tool_calls and not _matching(answer)(reply.content):
            return "response_format"
        return None

    return check


def has_patterns(schema: object) -> bool:
    """Whether a schema has regular expressions. An intersection of a few may take for ever to compile."""
    left = [schema]
    while left:
        match left.pop():
            case Mapping() as members:
                if "pattern" in members or "patternProperties" in members:
                    return True
                left += members.values()
            case list() | tuple() as items:
                left += items
    return False


def _matching(schema: Any) -> Callable[[str], bool]:
    """What tells whether a text is JSON of a schema. What the schema says wrongly, or what is too much to check, counts
    as met."""
    accepts: Callable[[Any], bool]
    try:
        document = Document(schema)
        accepts = partial(Checker(document, _pass_over).accepts, document.root)
    except Exception:  # of keywords whose values are of other types than they should be: nobody has looked at them
        accepts = _anything

    def matches(text: str) -> bool:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return False
        try:
            return accepts(value)
        except Exception:  # as above
            return True

    return matches


def _anything(value: Any) -> bool:
    return True


def _pass_over(error: SchemaError) -> None:
    """A keyword that cannot be checked is met."""
