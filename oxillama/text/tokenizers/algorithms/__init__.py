"""One module per tokenizer algorithm, and the steps that several of them share."""
