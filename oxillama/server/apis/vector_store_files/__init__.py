"""/v1/vector_stores/{vector_store}/files."""
