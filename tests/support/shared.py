"""Data that lies beside the checkout in some workplaces and is not part of the project."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2].parent / "shared"


def shared(relative: str) -> Path:
    """The path of a shared file; skips the calling test where it is absent."""
    path = ROOT / relative
    if not path.exists():
        pytest.skip(f"needs ../shared/{relative}")
    return path
