"""How commands end: exit statuses, one line on stderr, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import asdict

import pytest
from typer.main import get_command

from oxillama._version import __version__
from oxillama.cli import app
from oxillama.cli.shared.guard import guarded, one_line, status_of
from oxillama.engine.api.samplers import SAMPLERS
from oxillama.engine.api.sampling import SamplerSettings
from oxillama.errors import ModelFormatError, describe
from tests.support.cli import environment, oxillama


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ModelFormatError("x.gguf: bad"), 1),
        (FileNotFoundError(2, "No such file or directory", "x.gguf"), 1),
        (MemoryError(), 1),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(32, "Broken pipe"), 141),
        (BaseExceptionGroup("", [ExceptionGroup("", [ModelFormatError("x")])]), 1),
        (BaseExceptionGroup("", [KeyboardInterrupt(), ModelFormatError("x")]), 130),
        (ZeroDivisionError(), None),
        (ExceptionGroup("", [ModelFormatError("x"), ZeroDivisionError()]), None),
    ],
    ids=repr,
)
def test_the_status_follows_the_error(error: BaseException, status: int | None) -> None:
    assert status_of(error) == status


def test_an_expected_error_becomes_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise ModelFormatError("x.gguf: key 'a\nb\x1b[31m' is bad")

    with pytest.raises(SystemExit) as ended:
        guarded(command)()

    assert ended.value.code == 1
    assert capsys.readouterr().err == "oxillama: x.gguf: key 'a b [31m' is bad\n"


def test_a_bug_keeps_its_traceback() -> None:
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        guarded(command)()


def test_an_os_error_is_named_by_its_file() -> None:
    assert describe(FileNotFoundError(2, "No such file or directory", b"a\xff.gguf")) == (
        "a\udcff.gguf: No such file or directory"
    )
    assert one_line("a\udcff.gguf") == "a?.gguf"


def test_without_a_model_the_error_gives_the_fix() -> None:
    done = oxillama("perplexity", "--file", "text.txt")

    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert b"--model FILE" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nope"], "No such command 'nope'; see oxillama --help"),
        (["info", "--nope"], "No such option: --nope"),
        (["info", "x"], "(x); see oxillama info --help"),
        (["run", "a", "--threads", "many"], "'--threads'"),
        (["run", "a", "--seed", "1" * 400], "--seed: 111"),
        (["run", "a", "--stop", ""], "--stop: an empty string"),
        (["serve", "--temp", "-1"], "--temp: -1.0 is not between 0.0 and 100.0"),
        (["chat", "--top-p", "nan"], "--top-p: nan is not between 0.0 and 1.0"),
        (["quantize"], "Missing argument 'IN'; see oxillama quantize --help"),
        (["bench", "--kv-type", "f8"], "'--kv-type'"),
        (["run", "a", "--cpu-affinity", "2-1"], "'--cpu-affinity': '2-1' is not a list of different processors"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_an_invalid_command_line_is_reported_in_one_line_that_points_to_help(arguments: list[str], words: str) -> None:
    done = oxillama(*arguments)

    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.startswith(b"oxillama: ")
    assert done.stderr.count(b"\n") == 1
    assert words in done.stderr.decode()


COMMANDS = get_command(app.app).commands  # type: ignore[attr-defined]  # it is a group


def test_help_names_every_command_with_its_whole_summary() -> None:
    done = oxillama("--help")

    assert done.returncode == 0
    listed = dict(line.split(maxsplit=1) for line in done.stdout.decode().partition("Commands:\n")[2].splitlines())
    assert list(listed) == list(COMMANDS)
    assert all(summary.endswith(".") and "..." not in summary for summary in listed.values())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_an_options_value_in_one_word(command: str) -> None:
    options = oxillama(command, "--help").stdout.decode().partition("Options:\n")[2]

    assert "--help" in options
    assert "<" not in options.replace("<=", "")


@pytest.mark.parametrize("command", ["run", "chat", "serve"])
def test_help_shows_the_actual_defaults_of_sampling(command: str) -> None:
    help_defaults = {p.name: p.show_default for p in COMMANDS[command].params}

    for name, value in asdict(SamplerSettings()).items():
        shown = help_defaults["temp" if name == "temperature" else name]
        if name == "samplers":
            assert (shown, value) == ("the model's, else all", SAMPLERS)
        elif name == "dry_sequence_breakers":
            assert shown == "the model's, else " + " ".join(value).replace("\n", r"\n")
        else:
            assert shown == f"the model's, else {value:g}"


def test_the_version_is_an_option_too() -> None:
    assert oxillama("--version").stdout.decode() == f"oxillama {__version__}\n"


def test_no_command_at_all_shows_the_help() -> None:
    done = oxillama()

    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr == oxillama("--help").stdout


def test_ctrl_c_during_the_imports_ends_the_program_without_a_traceback() -> None:
    """As the signal itself does; Ctrl-C raises KeyboardInterrupt again once the command runs."""
    code = (
        "import os, signal, sys, types\n"
        "class Slow(types.ModuleType):\n"
        "    def __getattr__(self, name):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        raise AttributeError(name)\n"
        "sys.modules['typer'] = Slow('typer')\n"
        "from oxillama.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment())

    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


def test_help_imports_nothing_heavy() -> None:
    heavy = "numpy trio rich quart tokenizers jinja2 msgspec prompt_toolkit matplotlib"
    script = (
        "import sys; from oxillama.cli import app; app.app(['--help'], standalone_mode=False);"
        f"print('HEAVY', *[m for m in '{heavy}'.split() if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment())

    assert done.stdout.splitlines()[-1] == "HEAVY"


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="counts threads in /proc")
def test_numpy_starts_no_needless_threads() -> None:
    script = """
import contextlib, os, sys
from oxillama.cli import main
sys.argv = ["oxillama", "version"]
with contextlib.suppress(SystemExit):
    main()
import numpy
print("THREADS", len(os.listdir("/proc/self/task")))
"""
    env = {name: value for name, value in environment().items() if name != "OPENBLAS_NUM_THREADS"}

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)

    assert done.stdout.splitlines()[-1] == "THREADS 1"


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    script = """
import typer
from oxillama.cli.shared.guard import guarded
app = typer.Typer()
app.command()(guarded(lambda: print("x" * 100_000)))
app()
"""
    read, write = os.pipe()
    os.close(read)

    with os.fdopen(write, "wb") as gone:
        done = subprocess.run([sys.executable, "-c", script], stdout=gone, stderr=subprocess.PIPE, env=environment())

    assert done.returncode == 141
    assert done.stderr == b""
