"""The data directory of the Assistants API."""
