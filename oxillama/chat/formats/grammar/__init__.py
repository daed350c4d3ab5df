"""From the JSON schemas of tools to grammars of values that are not written as JSON."""
