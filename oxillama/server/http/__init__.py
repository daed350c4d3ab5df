"""The socket, ASGI, bodies and forms of requests, and server-sent events."""
