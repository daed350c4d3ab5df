"""The requests as they stand on the wire: typed structs, and what they mean for the engine. No HTTP in here."""
