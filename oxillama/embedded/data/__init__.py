"""What the demonstration model is taught: everything here is written or generated, nothing is downloaded."""
