"""JSON schemas: grammars of the texts that they admit."""

from oxillama.chat.schemas.document import SchemaError
from oxillama.chat.schemas.grammar.writer import SchemaGrammar, schema_grammar
from oxillama.chat.schemas.inline import inline, resolved

__all__ = ["SchemaError", "SchemaGrammar", "inline", "resolved", "schema_grammar"]
