"""Networks as programs: ops, the builder that appends them, and lowering to the core."""
