"""How families of models write reasoning, answers and tool calls: one row of data a family, one module a wire shape."""
