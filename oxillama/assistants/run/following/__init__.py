"""How a run is followed while it is executed, after a restart, and after its end."""
