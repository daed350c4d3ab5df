"""Vector stores: files that are cut into passages, and the search over them, without HTTP."""
