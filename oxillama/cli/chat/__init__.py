"""`oxillama chat`: a conversation with a model, on a terminal or through a pipe.

`command.py` opens the engine and the screen, `loop.py` takes turns, `session.py` is what a conversation consists of,
`commands.py` what can be done to it, `saved.py` how it is kept in a file. `terminal.py` and `plain.py` are the screens.
"""
