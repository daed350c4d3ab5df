"""`oxillama chat`: a conversation with a model, on a terminal or through a pipe.

`command.py` opens the engine and the screen. `loop.py` reads messages and commands, `commands.py` has the slash
commands, and `conversation.py` answers messages. `session.py` has the data of a conversation. `saved.py` writes it to a
file, `autosave.py` does so after every answer, and `history.py` keeps the typed lines. `terminal.py` and `plain.py` are
the screens.
"""
