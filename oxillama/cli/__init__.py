"""The `oxillama` command: one module per subcommand. Heavy imports wait until they are needed."""

from oxillama.cli.app import main

__all__ = ["main"]
