"""Terminal output: control characters made visible, word wrapping, progress bars, and terminal modes."""
