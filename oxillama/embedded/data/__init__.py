"""The training data of the demonstration model. All of it is written by hand or generated; nothing is downloaded."""
