"""Tokenizers for the vocabularies of GGUF files: text to token ids and back."""
