"""One running request: its sampler, its text, its output."""
