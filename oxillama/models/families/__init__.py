"""One module per family of architectures, imported when a file needs it."""
