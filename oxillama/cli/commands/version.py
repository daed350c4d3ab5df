"""oxillama version: shows what is installed and which kernels it uses here."""

from __future__ import annotations

from oxillama.cli.shared import options


def version(json: options.Json = False) -> None:
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
    if json:
        from oxillama.cli.shared.output import print_json

        print_json(facts)
        return
    print(f"oxillama {facts['version']}")
    print(f"kernels  {facts['kernels']} (this CPU can run: {', '.join(_core.available_isas())})")
    print(f"python   {facts['python']} on {facts['platform']}")
