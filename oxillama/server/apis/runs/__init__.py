"""/v1/threads/{thread}/runs."""
