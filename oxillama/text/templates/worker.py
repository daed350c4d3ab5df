"""The child process that renders chat templates: a script of its own, which imports nothing of this package.

A chat template comes with a model file and is not to be trusted. Jinja's immutable sandbox keeps it from running
commands, but not from computing for ever or filling the memory; a process can be limited, and killed.

Arguments: the directories to import jinja2 and markupsafe from. On stdin and stdout: messages of a length (4 bytes,
little-endian) and that much JSON. Asked with {"source", "own", "context", "marker", "cpu_s", "max_chars"} it answers
{"text", "content"} or {"error", "fatal"}; after a fatal error it ends, for its memory may be in any state. "own" are
values that count as the template's text, "context" those whose strings are content (`provenance.marked` says what
"marker" is), and the "content" of an answer is which characters of its text are. End of input ends the process too, so
it does not outlive its parent. (A death signal from the kernel would come when the parent's *thread* ends: too early.)
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import resource
import signal
import sys
import time
from collections import OrderedDict
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

MEMORY_BYTES = 1 << 30
CACHED_TEMPLATES = 16
# Filters that hand on what they were given or call its methods, which keep track of content. What a filter that is not
# listed makes of content is content.
TRANSPARENT_FILTERS = (
    *("abs", "attr", "batch", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items", "last"),
    *("length", "list", "map", "max", "min", "random", "reject", "rejectattr", "reverse", "round", "select"),
    *("selectattr", "slice", "sort", "sum", "unique", "wordcount"),
)
TEXT_FILTERS = ("capitalize", "center", "lower", "string", "trim", "upper")


def load_beside(name: str) -> Any:
    """A module of this folder, without its package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(name + ".py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


provenance = load_beside("provenance")


def strftime_now(format: str) -> str:  # noqa: A002  (templates may name it)
    text = datetime.now().strftime(format)
    return provenance.Content(text) if provenance.holds_content(format) else text


def make_environment() -> Any:
    """Jinja set up as the `transformers` library sets it up for chat templates: published ones are written for that."""
    from jinja2 import nodes
    from jinja2.compiler import CodeGenerator
    from jinja2.exceptions import TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter

    class Generation(Extension):
        """`{% generation %}…{% endgeneration %}` marks what the model said, for training; here it is only its text."""

        tags = {"generation"}  # noqa: RUF012  (as jinja2 declares it)

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("_text"), [], [], body).set_lineno(line)

        def _text(self, caller: Any) -> Any:
            return caller()

    class Generator(CodeGenerator):
        """What is printed, and the `~` operator, through the environment: Jinja's own forgets what is content."""

        def _output_child_pre(self, node: Any, frame: Any, finalize: Any) -> None:
            self.write("environment.text_of(")

        def visit_Concat(self, node: Any, frame: Any) -> None:  # noqa: N802  (as jinja2 calls it)
            self.write("environment.concat(map(environment.text_of, (")
            for arg in node.nodes:
                self.visit(arg, frame)
                self.write(", ")
            self.write(")))")

    class TrackingEnvironment(ImmutableSandboxedEnvironment):
        """Knows of every character that comes out whether it is content."""

        code_generator_class = Generator
        concat = staticmethod(provenance.joined)
        text_of = staticmethod(provenance.text_of)
        intercepted_binops = frozenset("%")

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            return provenance.percent(left, right) if isinstance(left, str) else left % right

        def call(self, context: Any, called: Any, /, *args: Any, **kwargs: Any) -> Any:
            owner = getattr(called, "__self__", None)
            if type(owner) is bytes:  # nobody has kept track there
                result = super().call(context, called, *args, **kwargs)
                return provenance.Content(result) if isinstance(result, str) else result
            if type(owner) is str and (args or kwargs):
                # A method of the template's own string: content among the arguments shows in the result.
                called = getattr(provenance.Content(owner, ()), called.__name__)
            return super().call(context, called, *args, **kwargs)

        def wrap_str_format(self, value: Any) -> Any:
            name = getattr(value, "__name__", "")  # most often another one, which is quicker to see
            if name not in ("format", "format_map") or super().wrap_str_format(value) is None:
                return None
            if name == "format":
                return lambda *args, **kwargs: self._format(value.__self__, args, kwargs)
            return lambda mapping: self._format(value.__self__, (), mapping)

        def _format(self, template: str, args: Any, kwargs: Any) -> str:
            return str(provenance.braces(SandboxedFormatter(self), template, args, kwargs))

    def all_or_nothing(change: Any) -> Any:
        # The first argument may be Jinja's own.
        skipped = 1 if hasattr(change, "jinja_pass_arg") else 0

        @functools.wraps(change)
        def filtered(*args: Any, **kwargs: Any) -> Any:
            result = change(*args, **kwargs)
            if not isinstance(result, str):
                return result
            return provenance.Content(result, None if provenance.holds_content([args[skipped:], kwargs]) else ())

        return filtered

    def of_text(change: Any) -> Any:
        @functools.wraps(change)
        def filtered(value: Any, *args: Any, **kwargs: Any) -> Any:
            return change(provenance.text_of(value), *args, **kwargs)

        return filtered

    def join(value: Any, d: str = "", attribute: Any = None) -> str:
        if attribute is not None:
            value = environment.call_filter("map", value, (), {"attribute": attribute}, context=no_context)
        return str(provenance.Content(d, provenance.spans_of(d)).join(map(provenance.text_of, value)))

    def replace(s: Any, old: str, new: str, count: int | None = None) -> str:
        text, new = provenance.text_of(s), provenance.text_of(new)
        tracked = provenance.Content(text, provenance.spans_of(text))
        return str(tracked.replace(str(old), new, -1 if count is None else count))

    def format_filter(value: Any, *args: Any, **kwargs: Any) -> str:
        if args and kwargs:
            raise TypeError("can't handle positional and keyword arguments at the same time")
        return str(provenance.percent(provenance.text_of(value), kwargs or args))

    def raise_exception(message: str) -> NoReturn:
        raise TemplateError(message)

    environment = TrackingEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    no_context = environment.from_string("").new_context()
    for name, change in environment.filters.items():
        if name in TEXT_FILTERS:
            environment.filters[name] = of_text(change)
        elif name not in TRANSPARENT_FILTERS:
            environment.filters[name] = all_or_nothing(change)
    # Nothing is escaped here, so nothing needs to be called safe.
    text_of = provenance.text_of
    environment.filters |= {"format": format_filter, "join": join, "replace": replace, "safe": text_of}
    environment.filters["tojson"] = provenance.tojson
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
        """The text; a `Content` if there is content in it."""
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
        return str(provenance.joined(pieces))


def answer(renderer: Renderer, request: bytes) -> dict[str, Any]:
    signal.setitimer(signal.ITIMER_PROF, 0)
    try:
        asked = json.loads(request)
        # SIGPROF is left at its default, which kills: no Python code needs to run for it, whatever holds the GIL.
        signal.setitimer(signal.ITIMER_PROF, asked["cpu_s"])
        context = {**asked["own"], **provenance.marked(asked["context"], asked["marker"])}
        text = renderer.render(asked["source"], context, asked["max_chars"])
        return {"text": text, "content": provenance.spans_of(text)}
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

    filters = "{{ 'a b' | wordwrap(1) | pprint }}{{ 'a' | urlize }}{{ 'a' | urlencode }}{{ '%s{}'.format(1) % 1 }}"
    renderer.render(
        "{{ [strftime_now('%d %b %Y'), {'é': 1}] | tojson(indent=1) }}{{ lipsum(1) }}" + filters, {}, 1 << 20
    )
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
