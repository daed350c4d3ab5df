"""oxillama version: shows what is installed and which kernels it uses here."""

from __future__ import annotations

from typing import Annotated

import typer

from oxillama.cli.shared import options


def version(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also show how packed weights are read on this processor.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Show the version and the kernels in use.

    The kernels in use (the instruction set), those this CPU can run, and the Python that runs it all.
    """
    import platform

    from oxillama import __version__
    from oxillama.core import _core

    facts: dict[str, object] = {
        "version": __version__,
        "kernels": _core.isa(),
        "available": _core.available_isas(),
        "python": platform.python_version(),
        "platform": f"{platform.system().lower()} {platform.machine()}",
    }
    reading = _reading() if verbose else {}
    if json:
        from oxillama.cli.shared.output import print_json

        print_json(facts | ({"reading": reading} if verbose else {}))
        return
    print(f"oxillama {facts['version']}")
    print(f"kernels  {facts['kernels']} (this CPU can run: {', '.join(_core.available_isas())})")
    print(f"python   {facts['python']} on {facts['platform']}")
    for name, choice in reading.items():
        print(f"reading  {name}: {choice['reading']} ({choice['origin']})")


def _reading() -> dict[str, dict[str, str]]:
    """How the next model's weights are read: by format and tokens at once, and by tokens for all other weights."""
    from oxillama.core import _core
    from oxillama.machine import usable_processors
    from oxillama.models.tuning.tune import case_name, remembered_here, setting

    how = setting()
    if how in _core.readings():
        return {"all weights": {"reading": how, "origin": "forced"}}
    known = remembered_here(usable_processors()) if how == "auto" else {}
    found = {name: {"reading": reading, "origin": "cached"} for name, reading in sorted(known.items())}
    usual = "other weights" if known else "all weights"
    origin = {"auto": "default until measured", "force": "measured again in each load", "off": "default"}[how]
    found[case_name(usual, "1-2")] = {"reading": _core.default_reading(several=False), "origin": origin}
    found[case_name(usual, "3+")] = {"reading": _core.default_reading(several=True), "origin": origin}
    return found
