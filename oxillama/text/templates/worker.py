"""The child process that renders chat templates: a script of its own, which imports nothing of this package.

A chat template comes with a model file and is not to be trusted. Jinja's immutable sandbox keeps it from running
commands, but not from computing for ever or filling the memory; a process can be limited, and killed.

Arguments: the directories to import jinja2 and markupsafe from. On stdin and stdout: messages of a length (4 bytes,
little-endian) and that much JSON. Asked with {"source", "context", "cpu_s", "max_chars"} it answers {"text"} or
{"error", "fatal"}; after a fatal error it ends, for its memory may be in any state. End of input ends it too, so it
does not outlive its parent. (A death signal from the kernel would come when the parent's *thread* ends: too early.)
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import time
from collections import OrderedDict
from datetime import datetime
from typing import Any, NoReturn

MEMORY_BYTES = 1 << 30
CACHED_TEMPLATES = 16


def tojson(
    x: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as it is: Jinja's own filter escapes for HTML."""
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def strftime_now(format: str) -> str:  # noqa: A002  (templates may name it)
    return datetime.now().strftime(format)


def make_environment() -> Any:
    """Jinja set up as the `transformers` library sets it up for chat templates: published ones are written for that."""
    from jinja2 import nodes
    from jinja2.exceptions import TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}…{% endgeneration %}` marks what the model said, for training; here it is only its text."""

        tags = {"generation"}  # noqa: RUF012  (as jinja2 declares it)

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("_text"), [], [], body).set_lineno(line)

        def _text(self, caller: Any) -> Any:
            return caller()

    def raise_exception(message: str) -> NoReturn:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = strftime_now
    return environment


class OutputLimitError(Exception):
    """The output is longer than allowed."""


class Renderer:
    """Renders templates, remembering the latest compiled ones."""

    def __init__(self) -> None:
        self._environment = make_environment()
        self._compiled: OrderedDict[str, Any] = OrderedDict()

    def render(self, source: str, context: dict[str, Any], max_chars: int) -> str:
        template = self._compiled.get(source)
        if template is None:
            template = self._compiled[source] = self._environment.from_string(source)
            if len(self._compiled) > CACHED_TEMPLATES:
                self._compiled.popitem(last=False)
        else:
            self._compiled.move_to_end(source)
        pieces: list[str] = []
        size = 0
        for piece in template.generate(context):
            size += len(piece)
            if size > max_chars:
                raise OutputLimitError
            pieces.append(piece)
        return "".join(pieces)


def answer(renderer: Renderer, request: bytes) -> dict[str, Any]:
    signal.setitimer(signal.ITIMER_PROF, 0)
    try:
        asked = json.loads(request)
        # SIGPROF is left at its default, which kills: no Python code needs to run for it, whatever holds the GIL.
        signal.setitimer(signal.ITIMER_PROF, asked["cpu_s"])
        return {"text": renderer.render(asked["source"], asked["context"], asked["max_chars"])}
    except OutputLimitError:
        return {"error": "its output is too long", "fatal": True}
    except MemoryError:
        return {"error": "it needs too much memory", "fatal": True}
    except RecursionError:
        return {"error": "it is nested too deeply", "fatal": True}
    except Exception as error:
        return {"error": describe(error), "fatal": False}


def describe(error: Exception) -> str:
    from jinja2.exceptions import TemplateError, TemplateSyntaxError

    try:
        text = " ".join(str(error).split())[:400]
    except Exception:
        text = ""
    if isinstance(error, TemplateSyntaxError):
        return f"line {error.lineno}: {text}"
    if isinstance(error, TemplateError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def limit_resources() -> None:
    """No file can be opened, written or made larger from here on, no process started, and memory is bounded."""
    limits = {"RLIMIT_AS": MEMORY_BYTES, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NPROC": 0, "RLIMIT_NOFILE": 3}
    for name, value in limits.items():
        # Not every system has, or lets a process lower, each of them.
        with contextlib.suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (value, value))


def read_exactly(size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        piece = os.read(0, min(size - len(data), 1 << 20))
        if not piece:
            return None
        data += piece
    return bytes(data)


def write_all(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def main(import_from: list[str]) -> None:
    sys.path[:0] = import_from
    renderer = Renderer()
    # What is imported or opened late must be there before files are out of reach.
    import jinja2.constants
    import jinja2.debug  # noqa: F401  (imported for its own sake)

    renderer.render("{{ [strftime_now('%d %b %Y'), {'é': 1}] | tojson(indent=1) }}{{ lipsum(1) }}", {}, 1 << 20)
    time.localtime()
    limit_resources()
    while (header := read_exactly(4)) is not None:
        request = read_exactly(int.from_bytes(header, "little"))
        if request is None:
            return
        reply = answer(renderer, request)
        data = json.dumps(reply).encode()
        signal.setitimer(signal.ITIMER_PROF, 0)
        write_all(len(data).to_bytes(4, "little") + data)
        if reply.get("fatal"):
            return


if __name__ == "__main__":
    main(sys.argv[1:])
