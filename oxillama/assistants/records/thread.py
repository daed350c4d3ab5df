"""Threads."""

from __future__ import annotations

from typing import Any

import msgspec

from oxillama.assistants.records.common import Metadata
from oxillama.storage.record import Record


class Thread(Record, frozen=True, kw_only=True):
    """A conversation."""

    metadata: Metadata = msgspec.field(default_factory=dict)
    tool_resources: dict[str, Any] | None = None
