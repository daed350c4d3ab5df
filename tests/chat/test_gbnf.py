"""GBNF grammars: what they admit after their translation."""

from __future__ import annotations

import pytest

from oxillama.chat.gbnf import lark_of
from oxillama.chat.options import Grammar
from oxillama.errors import InvalidParameterError
from tests.chat.test_constraints import PLAIN, admits


@pytest.mark.parametrize(
    ("gbnf", "good", "bad"),
    [
        ('root ::= ("ab"{2}){3}', "ab" * 6, "ab" * 5),
        ('root ::= (("a" "b"){2})* "c"', "ababababc", "abc"),
        ('root ::= (x{2})? "}{" | "/*"\nx ::= ("ab"{2}){2}', "ab" * 8 + "}{", "ab" * 4 + "}{"),
        ('root ::= [a-c]{1,2} "("', "ab(", "abc("),
        ('root ::= ("\\"" [^"]* "\\""){2}', '"x{2}{3}""y"', '"x"'),
        ('root ::= "(" | "a"{3}', "(", "aa"),
        ('root ::= ((("a"{2}){2}){2})', "a" * 8, "a" * 6),
    ],
)
def test_repetitions_of_repetitions_are_what_they_say(gbnf: str, good: str, bad: str) -> None:
    asked = Grammar(gbnf, "gbnf")
    assert admits(good, PLAIN, format=asked)
    assert not admits(bad, PLAIN, format=asked)


def test_a_grammar_that_never_ends_takes_no_time() -> None:
    """The longest match of the first rule takes every letter, so the text that is forced has no end."""
    asked = Grammar('root ::= x x "b"\nx ::= "a"+', "gbnf")
    assert not admits("aaaa", PLAIN, format=asked)
    assert not admits("aab", PLAIN, format=asked)


def test_what_is_no_gbnf_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="Invalid 'grammar': it is not GBNF"):
        lark_of("root ::= (")
