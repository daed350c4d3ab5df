"""The child process that renders chat templates: a separate script that imports nothing from this package.

A chat template comes with a model file and cannot be trusted. Jinja's sandbox keeps it from running commands, but not
from looping forever or filling the memory. A process can be limited and killed. Templates may change lists and mappings
of their own, as published ones do: every rendering has new ones.

Arguments: the directories from which to import jinja2 and markupsafe. Messages on stdin and stdout are a length (4
bytes, little-endian) and that many bytes of JSON. A request is {"source", "own", "context", "marker", "cpu_s",
"max_chars"}:

- "own" has the variables that count as the template's own text.
- "context" has the variables whose strings are content; `provenance.marked` describes "marker".

A reply is {"text", "content"} or {"error", "fatal"}. "content" has the spans of the text that are content. After a
fatal error the process ends, because its memory may be in any state. It also ends at the end of its input, so it does
not outlive its parent. (A parent-death signal from the kernel would be too early: it comes when the parent's *thread*
ends.)
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
# Filters that return their input or call its methods, which track content. If a filter that is not listed gets content,
# its whole result is content.
TRANSPARENT_FILTERS = (
    *("abs", "attr", "batch", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items", "last"),
    *("length", "list", "map", "max", "min", "random", "reject", "rejectattr", "reverse", "round", "select"),
    *("selectattr", "slice", "sort", "sum", "unique", "wordcount"),
)
TEXT_FILTERS = ("capitalize", "center", "lower", "string", "trim", "upper")


def load_beside(name: str) -> Any:
    """Import a module of this folder without its package."""
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
    """A Jinja environment like that of the `transformers` library, for which published chat templates are written."""
    from jinja2 import nodes
    from jinja2.compiler import CodeGenerator
    from jinja2.exceptions import TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import SandboxedEnvironment, SandboxedFormatter

    class Generation(Extension):
        """`{% generation %}…{% endgeneration %}` marks the model's text for training; here only the text is kept."""

        tags = {"generation"}  # noqa: RUF012  (as jinja2 declares it)

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("_text"), [], [], body).set_lineno(line)

        def _text(self, caller: Any) -> Any:
            return caller()

    class Generator(CodeGenerator):
        """Sends printed values and the `~` operator through the environment, because Jinja's own code loses spans."""

        def _output_child_pre(self, node: Any, frame: Any, finalize: Any) -> None:
            self.write("environment.text_of(")

        def visit_Concat(self, node: Any, frame: Any) -> None:  # noqa: N802  (as jinja2 calls it)
            self.write("environment.concat(map(environment.text_of, (")
            for arg in node.nodes:
                self.visit(arg, frame)
                self.write(", ")
            self.write(")))")

    class TrackingEnvironment(SandboxedEnvironment):
        """Tracks for every character of the output whether it is content."""

        code_generator_class = Generator
        concat = staticmethod(provenance.joined)
        text_of = staticmethod(provenance.text_of)
        intercepted_binops = frozenset("%")

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            return provenance.percent(left, right) if isinstance(left, str) else left % right

        def call(self, context: Any, called: Any, /, *args: Any, **kwargs: Any) -> Any:
            owner = getattr(called, "__self__", None)
            if type(owner) is bytes:  # bytes carry no spans
                result = super().call(context, called, *args, **kwargs)
                return provenance.Content(result) if isinstance(result, str) else result
            if type(owner) is str and (args or kwargs):
                # A method of a plain string with arguments: track any content among the arguments in the result.
                called = getattr(provenance.Content(owner, ()), called.__name__)
            return super().call(context, called, *args, **kwargs)

        def wrap_str_format(self, value: Any) -> Any:
            name = getattr(value, "__name__", "")  # usually another name, and this check is the quicker one
            if name not in ("format", "format_map") or super().wrap_str_format(value) is None:
                return None
            if name == "format":
                return lambda *args, **kwargs: self._format(value.__self__, args, kwargs)
            return lambda mapping: self._format(value.__self__, (), mapping)

        def _format(self, template: str, args: Any, kwargs: Any) -> str:
            return str(provenance.braces(SandboxedFormatter(self), template, args, kwargs))

    def all_or_nothing(change: Any) -> Any:
        # Jinja may pass its own first argument, such as the environment.
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
    # Nothing is escaped here, so "safe" has nothing to do.
    text_of = provenance.text_of
    environment.filters |= {"format": format_filter, "join": join, "replace": replace, "safe": text_of}
    environment.filters |= {"tojson": provenance.tojson, "from_json": provenance.from_json}
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = strftime_now
    return environment


class OutputLimitError(Exception):
    """The output is longer than allowed."""


class Renderer:
    """Renders templates. Caches the most recently used compiled ones."""

    def __init__(self) -> None:
        self._environment = make_environment()
        self._compiled: OrderedDict[str, Any] = OrderedDict()

    def render(self, source: str, context: dict[str, Any], max_chars: int) -> str:
        """Render and return the text; a `Content` if the text has content. Raises OutputLimitError."""
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
        # SIGPROF keeps its default action, which kills the process. No Python code has to run, so nothing can block it.
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
    """From here on no file can be opened or grow and no process can be started. Memory is bounded."""
    limits = {"RLIMIT_AS": MEMORY_BYTES, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NPROC": 0, "RLIMIT_NOFILE": 3}
    for name, value in limits.items():
        # Some systems lack some of these limits, or do not let a process lower them.
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
    # Load everything that Jinja or Python imports or opens late, before files can no longer be opened.
    import jinja2.constants
    import jinja2.debug  # noqa: F401  (used by Jinja when a template fails)

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
