"""oxillama import-threads and export-threads: move assistants, threads and files from one place to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oxillama.cli.shared import options

if TYPE_CHECKING:
    from collections import Counter

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        parser=options.given_path,
        metavar="DIR",
        envvar="OXILLAMA_DATA_DIR",
        show_default="the user's own",
        help="The data directory, as for serve. No server may have it open.",
    ),
]


def import_threads(
    file: Annotated[
        Path, typer.Argument(parser=options.given_path, metavar="FILE", help="Lines of JSON; - for stdin.")
    ],
    data_dir: DataDir = None,
    files: Annotated[
        Path | None,
        typer.Option(parser=options.given_path, metavar="DIR", help="A folder with the bytes of files, by id or name."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Read assistants, threads and files into a data directory.

    Reads what export-threads writes, and what the Assistants API lists: an object or a page on each line. Ids are kept.
    What is there already stays as it is.
    """
    import contextlib
    import sys

    from oxillama.cli.shared.output import print_json
    from oxillama.transfer.incoming import Import, seekable
    from oxillama.transfer.opened import with_data
    from oxillama.transfer.values import Values

    with contextlib.ExitStack() as stack:
        stream = sys.stdin.buffer if str(file) == "-" else stack.enter_context(file.open("rb"))
        work = Import(Values(file, stack.enter_context(seekable(stream))), files)
        work.check()
        with_data(_directory(data_dir), work.into)
    if json:
        print_json({"imported": dict(work.done), "left": dict(work.left)})
        return
    print(f"imported {_counted(work.done)}")
    for why, count in work.left.items():
        print(f"left out {count} {why}")


def export_threads(
    file: Annotated[Path, typer.Argument(parser=options.given_path, metavar="FILE", help="The file to write.")],
    data_dir: DataDir = None,
    json: options.Json = False,
) -> None:
    """Write the assistants, threads and files of a data directory.

    A line is an object as the API answers it. The bytes of a file follow it as base64 text.
    """
    import os

    from oxillama.cli.shared.guard import naming
    from oxillama.cli.shared.output import check_output, print_json
    from oxillama.transfer.opened import with_data
    from oxillama.transfer.outgoing import Export
    from oxillama.user_files import replaced_file

    check_output("FILE", file)
    directory = _directory(data_dir)
    if not directory.is_dir():
        raise NotADirectoryError(20, os.strerror(20), str(directory))
    with naming(file), replaced_file(file) as out:
        work = Export(out)
        with_data(directory, work.write)
    if json:
        print_json({"exported": dict(work.done)})
        return
    print(f"exported {_counted(work.done)}")


def _directory(given: Path | None) -> Path:
    from oxillama.server.data import default_data_dir

    return given if given is not None else default_data_dir()


def _counted(done: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in done.items()) or "nothing"
