"""/v1/uploads."""
