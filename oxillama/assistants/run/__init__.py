"""How runs are queued, worked on, watched and ended."""
