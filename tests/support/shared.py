"""Test data in ../shared, which is not part of the project and is missing on most machines."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2].parent / "shared"


def shared(relative: str) -> Path:
    """The path of a shared file. Skips the calling test if it is missing."""
    path = ROOT / relative
    if not path.exists():
        pytest.skip(f"needs ../shared/{relative}")
    return path
