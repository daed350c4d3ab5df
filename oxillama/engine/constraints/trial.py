"""A grammar of unknown origin, compiled on trial in a child process with limits.

Some limits of llguidance leave gaps: a chain of a few thousand rules exhausts its stack, and an error at the end of one
takes minutes to be described. What a child process survives in a few seconds, this process compiles as well.
"""

from __future__ import annotations

import subprocess
import sys

from oxillama.engine.api.constraint import DISTINCT, GrammarError
from oxillama.engine.constraints.problems import grammar_error

SECONDS = 5
WALKS, LENGTH = 8, 40
"""Texts that are followed, and their bytes at most."""
WALKING = 0.3
"""Seconds after which no further byte is followed."""
MEMORY = 2 << 30

OUTGROWN = "its regular expressions ('pattern') together need an automaton that is too large"

# A sound grammar is compiled for a vocabulary of bytes and of the special tokens that it names by id: some regular
# expressions take for ever only then. Others, such as an intersection of many, outgrow the limits a little later:
# random texts are followed for a while.
_PROGRAM = f"""
import random, re, resource, sys, time
resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))
if sys.platform == "linux":
    resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper
limits, text = LLParserLimits(**eval(sys.argv[1])), sys.stdin.read()
problem = LLMatcher.validate_grammar(text, limits=limits)
ids = {{}}
text = re.sub(r"<\\[([0-9]+)\\]>", lambda found: f"<[{{ids.setdefault(found[1], 258 + len(ids))}}]>", text)
class Bytes:
    eos_token_id, bos_token_id = 256, None
    tokens = [bytes([i]) for i in range(256)] + [b"<end>", {DISTINCT.encode()!r}] + [
        b"<%d>" % i for i in range(len(ids))]
    special_token_ids = list(range(256, len(tokens)))
    def __call__(self, text):
        return list(text if isinstance(text, bytes) else text.encode())
if not problem or problem.startswith("WARNING"):
    tokenizer = LLTokenizer(TokenizerWrapper(Bytes()), n_vocab=len(Bytes.tokens), eos_token=256, slices=[])
    matcher = LLMatcher(tokenizer, text, log_level=0, limits=limits)
    if not matcher.is_error():
        matcher.compute_bitmask()
    choose, until = random.Random(1).choice, time.process_time() + {WALKING}
    for _ in range({WALKS} if not matcher.is_error() else 0):
        one = matcher.deep_copy()
        for _ in range({LENGTH}):
            mask = one.compute_bitmask()
            allowed = [i for i in range(len(Bytes.tokens)) if mask[i // 8] >> i % 8 & 1 and i != Bytes.eos_token_id]
            if one.is_error() or not allowed or time.process_time() > until:
                break
            one.consume_token(choose(allowed))
        if "lexer error" in (one.get_error() or ""):
            problem = {OUTGROWN!r}
            break
print(problem)
"""


def try_grammar(text: str, limits: dict[str, int]) -> None:
    """Raises GrammarError for a grammar that is wrong, or that takes more than the limits. Blocks, for about
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
        raise GrammarError("it is too deep, too large or takes too long to compile")
    problem = done.stdout.decode("utf-8", "replace").strip()
    if problem and not problem.startswith("WARNING"):
        raise grammar_error(problem)
