"""POST /infill."""
