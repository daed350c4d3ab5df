"""Reading what versions before the database stored."""
