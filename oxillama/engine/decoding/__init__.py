"""One request under way: its sampler, its text, its output."""
