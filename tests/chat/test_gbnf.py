"""GBNF grammars: what they admit after their translation."""

from __future__ import annotations

import pytest

from oxillama.chat.gbnf import lark_of
from oxillama.errors import InvalidParameterError
from tests.chat.schemas.walks import admits, grammars


@pytest.mark.parametrize(
    ("gbnf", "good", "bad"),
    [
        ('root ::= ("ab"{2}){3}', "ab" * 6, "ab" * 5),
        ('root ::= (("a" "b"){2})* "c"', "ababababc", "abc"),
        ('root ::= (x{2})? "}{" | "/*"\nx ::= ("a"+){2}', "aaaa}{", "aaa}{"),
        ('root ::= [a-c]{1,2} "("', "ab(", "abc("),
        ('root ::= ("\\"" [^"]* "\\""){2}', '"x{2}{3}""y"', '"x"'),
        ('root ::= "(" | "a"{3}', "(", "aa"),
        ('root ::= ((("a"{2}){2}){2})', "a" * 8, "a" * 6),
    ],
)
def test_repetitions_of_repetitions_are_what_they_say(gbnf: str, good: str, bad: str) -> None:
    grammar = grammars().compile(lark_of(gbnf))
    assert admits(grammar, good)
    assert not admits(grammar, bad)


def test_what_is_no_gbnf_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="Invalid 'grammar': it is not GBNF"):
        lark_of("root ::= (")
