"""The steps of a sampler chain by name, and orders of them as users of GGUF models write them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from oxillama.errors import InvalidParameterError

SAMPLERS = (
    "penalties",
    "dry",
    "temperature",
    "top_n_sigma",
    "top_k",
    "typical_p",
    "top_p",
    "min_p",
    "top_a",
    "epsilon_cutoff",
    "eta_cutoff",
    "xtc",
)
"""Every step, in the usual order: the names of the core (`oxi_chain_step_name`)."""

_OTHER_NAMES = {"temp": "temperature", "typ": "typical_p", "typ_p": "typical_p", "typical": "typical_p"} | {
    "nucleus": "top_p",
    "top_sigma": "top_n_sigma",
    "epsilon": "epsilon_cutoff",
    "eta": "eta_cutoff",
}
_BY_NAME = {name.replace("_", ""): name for name in SAMPLERS} | {
    other.replace("_", ""): name for other, name in _OTHER_NAMES.items()
}
_LETTERS = {
    "e": "penalties",
    "d": "dry",
    "t": "temperature",
    "s": "top_n_sigma",
    "k": "top_k",
    "y": "typical_p",
    "p": "top_p",
    "m": "min_p",
    "x": "xtc",
}
"""llama.cpp's letters, as in `edskypmxt`."""


def sampler_names(names: Sequence[str]) -> tuple[str, ...]:
    """The steps by our names; also known are llama.cpp's spellings (`typ_p`, `top-k`, `topk`, `temp`, …).

    Raises InvalidParameterError for a name that is unknown or there twice.
    """
    found: list[str] = []
    for given in names:
        name = _BY_NAME.get(re.sub("[-_ ]", "", given).lower())
        if name is None:
            known = ", ".join(SAMPLERS)
            raise InvalidParameterError(
                f"Invalid 'samplers': {given[:40]!r} is not a sampler. Known are: {known}.", param="samplers"
            )
        if name in found:
            raise InvalidParameterError(f"Invalid 'samplers': {name!r} is there twice.", param="samplers")
        found.append(name)
    return tuple(found)


def sampler_order(text: str) -> tuple[str, ...]:
    """An order written as one text: names separated by semicolons or commas, or llama.cpp's letters (`edskypmxt`).

    Raises InvalidParameterError.
    """
    parts = [part.strip() for part in re.split("[;,]", text) if part.strip()]
    if len(parts) == 1 and re.sub("[-_ ]", "", parts[0]).lower() not in _BY_NAME and set(parts[0]) <= set(_LETTERS):
        parts = [_LETTERS[letter] for letter in parts[0]]
    return sampler_names(parts)
