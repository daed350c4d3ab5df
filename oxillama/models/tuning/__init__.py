"""How a model's packed weights are read for few tokens: chosen when the model is loaded, by a short measurement.

One or two tokens at once have one choice, more have another.

`choice.py` judges measured rates, `remembered.py` keeps choices in a file, `tune.py` applies them. A choice changes the
speed of decode, never a bit of a result.
"""
