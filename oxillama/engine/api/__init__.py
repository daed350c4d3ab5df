"""What the layers above may import: requests, events, settings, and the engine as a protocol."""
