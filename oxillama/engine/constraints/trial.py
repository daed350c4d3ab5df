"""A grammar of unknown origin, compiled on trial in a child process with limits.

Some limits of llguidance leave gaps: a chain of a few thousand rules exhausts its stack, and an error at the end of one
takes minutes to be described. What a child process survives in a few seconds, this process compiles as well.
"""

from __future__ import annotations

import subprocess
import sys

from oxillama.errors import InvalidParameterError

SECONDS = 5
MEMORY = 2 << 30

_PROGRAM = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))
if sys.platform == "linux":
    resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from llguidance import LLMatcher, LLParserLimits
limits = LLParserLimits(**eval(sys.argv[1]))
print(LLMatcher.validate_grammar(sys.stdin.read(), limits=limits))
"""


def try_grammar(text: str, limits: dict[str, int]) -> None:
    """Raises InvalidParameterError for a grammar that is wrong, or that takes more than the limits. Blocks, for about
    a tenth of a second if the grammar is sound."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _PROGRAM, repr(limits)],
            input=text.encode("utf-8", "replace"),
            capture_output=True,
            timeout=2 * SECONDS,
        )
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode:
        raise InvalidParameterError(
            "the grammar cannot be used: it is too deep, too large or takes too long to compile", code="invalid_grammar"
        )
    problem = " ".join(done.stdout.decode("utf-8", "replace").split())
    if problem and not problem.startswith("WARNING"):
        raise InvalidParameterError(f"the grammar cannot be used: {problem[:300]}", code="invalid_grammar")
