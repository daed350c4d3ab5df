"""oxillama data: look after a data directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oxillama.cli.shared import options

ACTIONS = ("check", "repair", "compact", "backup")


def data(
    action: Annotated[str, typer.Argument(metavar="check|repair|compact|backup", help="What to do.")],
    directory: Annotated[
        Path, typer.Argument(parser=options.given_path, metavar="DIR", help="The data directory, as for serve.")
    ],
    target: Annotated[
        Path | None,
        typer.Argument(parser=options.given_path, metavar="TARGET", help="With backup: a new or empty directory."),
    ] = None,
) -> None:
    """Check, repair, compact or back up a data directory.

    check and backup work while a server has the directory open; repair and compact want it alone. check ends with
    status 1 if anything is damaged. repair makes a new database of all that can be read, and keeps the old one.
    """
    import os

    from oxillama.cli.shared.guard import usage_error
    from oxillama.storage.upkeep import work

    if action not in ACTIONS:
        usage_error(f"{action!r} is not one of {', '.join(ACTIONS)}")
    if (target is None) == (action == "backup"):
        usage_error("backup needs DIR and TARGET, the others DIR alone")
    if not directory.is_dir():
        raise NotADirectoryError(20, os.strerror(20), str(directory))
    place = os.path.abspath(directory)
    match action:
        case "check":
            problems = 0
            for line in work.check(place):
                problems += 1
                print(line)
            if problems:
                raise typer.Exit(1)
            print("no damage found")
        case "repair":
            for line in work.repair(place) or ["no damage found"]:
                print(line)
        case "compact":
            before, after = work.compact(place)
            print(f"{before} bytes before, {after} bytes now")
        case _:
            assert target is not None
            print(f"{work.backup(place, os.path.abspath(target))} bytes copied")
