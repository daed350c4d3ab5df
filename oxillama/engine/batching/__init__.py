"""Which sequences take part in a step, and the one loop that runs it."""
