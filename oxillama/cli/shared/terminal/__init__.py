"""What is written to a terminal: text made safe, words kept whole, bars of progress."""
