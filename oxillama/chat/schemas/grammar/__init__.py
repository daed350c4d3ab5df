"""From the branches of a schema to rules of a grammar."""
