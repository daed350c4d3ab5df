"""What the Assistants API (v2) puts on the wire: objects, endpoints, events and error texts, as data."""
