"""Looking after a data directory: check, repair, compact and back up. For `oxillama data`."""
