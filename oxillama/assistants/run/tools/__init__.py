"""The tools of a run: what the model is offered, searches in files, and citations of what they found."""
