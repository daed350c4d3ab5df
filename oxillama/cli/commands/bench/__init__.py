"""`oxillama bench`: tokens per second of one model on this machine.

`command.py` reads the options and prints, `measure.py` measures.
"""
