"""The `oxillama` command: one module per subcommand. Heavy imports wait until they are needed."""

from __future__ import annotations

import signal


def main() -> None:
    """Entry point of the console script."""
    # Ctrl-C during the imports ends the process as the signal does; as an exception it would print a traceback.
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_default:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from oxillama.cli.app import main as run

    if is_default:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


__all__ = ["main"]
