"""/v1/threads."""
