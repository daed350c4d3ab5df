"""The `oxillama` command: one file per subcommand, nothing heavy imported before it is needed."""

from oxillama.cli.app import main

__all__ = ["main"]
