"""Makes quantised models and measures their loss. Above models and text, below the command line."""
