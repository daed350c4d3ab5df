"""The options of `oxillama serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oxillama.cli.app import app
from oxillama.server.config import ServerConfig
from tests.support.tiny_models import tiny_model


def test_sampling_options_are_settings_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ServerConfig] = []

    async def serve(config: ServerConfig, **_: Any) -> None:
        seen.append(config)

    monkeypatch.setattr("oxillama.server.serve", serve)
    monkeypatch.setenv("OXILLAMA_TEMPERATURE", "0.4")
    monkeypatch.setenv("OXILLAMA_TOP_P", "0.5")
    monkeypatch.chdir(tmp_path)

    app(
        ["serve", "--model", str(tiny_model(tmp_path / "m.gguf")), "--temp", "0", "--top-k", "5"],
        standalone_mode=False,
    )

    [config] = seen
    assert (config.temperature, config.top_k, config.top_p, config.min_p) == (0.0, 5, 0.5, None)
