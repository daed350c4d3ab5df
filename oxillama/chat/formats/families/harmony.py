"""gpt-oss."""

from __future__ import annotations

from oxillama.chat.formats.harmony import CHANNEL, END, MESSAGE, START, Harmony
from oxillama.chat.formats.wire import Family, Tags

FAMILIES = (
    Family(
        name="gpt-oss",
        shape=Harmony(),
        reasoning=(Tags(f"{CHANNEL}analysis{MESSAGE}", f"{END}{START}assistant"),),
        answer=(Tags(f"{CHANNEL}final{MESSAGE}", ""),),
        stops=("<|return|>", "<|call|>"),
    ),
)
