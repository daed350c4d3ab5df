"""Network, data in batches, and vocabulary: what `train.py` trains and writes."""
