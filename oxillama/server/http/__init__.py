"""The socket, ASGI and server-sent events."""
