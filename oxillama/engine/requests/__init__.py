"""From a text or a conversation to a checked request."""
