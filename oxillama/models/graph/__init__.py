"""A network as a program: ops, the builder that appends them, and lowering to the core."""
