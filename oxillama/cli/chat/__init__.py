"""`oxillama chat`: a conversation with a model, on a terminal or through a pipe.

`command.py` opens the engine and the screen, `loop.py` takes turns, `commands.py` is what a line with a slash does,
`conversation.py` has messages answered, `session.py` is what a conversation consists of. `saved.py` writes one into a
file, `autosave.py` does so unasked, `history.py` keeps what was typed. `terminal.py` and `plain.py` are the screens.
"""
