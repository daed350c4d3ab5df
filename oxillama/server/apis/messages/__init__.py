"""/v1/threads/{thread}/messages."""
