"""What the APIs that generate text share: their sampling fields, an answer's choices, and what it cost."""
