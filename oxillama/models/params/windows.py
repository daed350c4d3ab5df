"""Which layers see only a window of the sequence, and how long it is."""

from __future__ import annotations

from oxillama.models.params.keys import MAX_CONTEXT, Keys

PATTERN = "attention.sliding_window_pattern"


def read_windows(
    keys: Keys, n_layer: int, window: int, *, full_every: int = 0, full_first: bool = False
) -> tuple[int, ...]:
    """Each layer's window in tokens, the token itself included; 0: the layer sees everything.

    The file's pattern says which layers have the window: an array with one truth value for each layer, or a number
    n: the last of every n layers sees everything, or with full_first the first. full_every: n where the file has no
    pattern; 0: it must have one.

    Raises ModelFormatError, naming the file and the key.
    """
    name = keys.name(PATTERN)
    kind = keys.gguf.metadata_types.get(name, "")
    if kind.startswith("arr"):
        values = keys.gguf.require_array(name, kind="bool" if kind == "arr[bool]" else "integer", length=n_layer)
        return tuple(window if slides else 0 for slides in values)
    every = keys.whole(PATTERN, full_every or None, low=0, high=MAX_CONTEXT)
    full = 0 if full_first else every - 1
    return tuple(window if every == 0 or i % every != full else 0 for i in range(n_layer))
