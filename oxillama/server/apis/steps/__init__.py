"""/v1/threads/{thread}/runs/{run}/steps."""
