"""What a family's grammar admits, read back by its parser."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import jsonschema

from oxillama.chat.formats.wire import Family, WireFormat
from oxillama.chat.tools import Tool
from tests.support.replies import Read, read_tokens
from tests.support.walks import ByteVocabulary, Walks


def number_of_walks(family: Family, families: Sequence[Family]) -> int:
    """How many walks a long test takes: a thousand for each shape, by its first family, and fewer for the others."""
    first = next(other for other in families if other.shape.name == family.shape.name)
    return 1000 if family is first else 100


def admitted(
    family: Family, specials: Sequence[str], tools: Sequence[Tool], number: int, seed: int, *, parallel: bool = True
) -> Iterator[tuple[bytes, Read]]:
    """The texts of random walks through the grammar of calls that end, and what is read of each.

    Checks that a text is complete calls and nothing else, and that their arguments fit the tools' schemas. specials:
    the markers that are special tokens.
    """
    vocabulary = ByteVocabulary(specials)
    wire = WireFormat(family, vocabulary)
    schemas = {tool.name: jsonschema.Draft202012Validator(tool.parameters) for tool in tools}
    for ids in Walks(vocabulary, f"start: calls\n{wire.grammar(tools, parallel=parallel)}").walks(number, seed):
        found = read_tokens(wire.parser(tools), [(token, vocabulary.token_bytes(token)) for token in ids])
        text = b"".join(vocabulary.tokens[token] for token in ids)
        assert found.content == found.reasoning == "", text
        assert found.calls, text
        assert all(found.complete), text
        for name, arguments in found.calls:
            problems = [*schemas[name].iter_errors(json.loads(arguments))]
            assert not problems, (text, arguments, problems)
        yield text, found
