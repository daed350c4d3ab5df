"""Questions that score the model and are never trained on: two sets, written independently."""
