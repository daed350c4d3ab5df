"""The embedded model's interface for the command line: its path, its name and its notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from oxillama import Model, SamplingParams, embedded
from oxillama.errors import describe


def test_a_missing_embedded_model_is_reported_with_the_file_and_both_fixes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(FileNotFoundError) as raised:
        embedded.model_path()
    line = describe(raised.value)
    assert "\n" not in line
    for part in (str(tmp_path / "oxillama-demo.gguf"), "--model FILE.gguf", "python -m oxillama.embedded.train"):
        assert part in line


def test_a_present_model_is_found_beside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "__file__", str(tmp_path / "__init__.py"))
    (tmp_path / "oxillama-demo.gguf").write_bytes(b"GGUF")
    assert embedded.model_path() == tmp_path / "oxillama-demo.gguf"


@pytest.mark.parametrize("command", ["serve", "chat"])
def test_a_notice_is_one_line_with_the_command_for_a_real_model(command: str) -> None:
    notice = embedded.notice(command)

    assert "\n" not in notice
    assert "demonstration" in notice
    assert f"oxillama {command} --model FILE.gguf" in notice


def test_a_model_without_a_path_is_the_demonstration() -> None:
    with Model(n_ctx=64, n_threads=1) as model:
        assert model.metadata["general.name"] == embedded.MODEL_NAME
        assert "".join(model.generate("Once upon a time", SamplingParams(max_tokens=5, temperature=0.0)))
