"""/v1/vector_stores/{vector_store}/file_batches."""
