"""The kinds of turns: one module each, whose `sample` draws a question and its answer."""
