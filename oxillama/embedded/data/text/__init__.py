"""Making many texts out of few: alternatives, word lists and typing errors."""
