"""Decoders whose layers have attention or a recurrent state."""
