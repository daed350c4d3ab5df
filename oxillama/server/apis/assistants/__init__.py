"""/v1/assistants."""
