"""The prompts of `oxillama run`."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from oxillama.cli.shared.prompt import argument_text, parse_ids, read_text
from oxillama.errors import OxillamaError


@pytest.mark.parametrize("text", ["1,2,3", "1 2 3", " 1, 2 ,3 "])
def test_ids_are_separated_by_commas_or_spaces(text: str) -> None:
    assert parse_ids(text) == (1, 2, 3)


@pytest.mark.parametrize("text", ["", ",", "1,,2", "1,", "1,x", "1.5"])
def test_an_invalid_list_of_ids_is_a_usage_error(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        parse_ids(text)

    assert ended.value.exit_code == 2
    assert capsys.readouterr().err.startswith("oxillama: --prompt-ids")


def test_a_prompt_file_is_read_whole_with_its_last_newline(tmp_path: Path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_bytes("é\n".encode())

    assert read_text(file) == "é\n"


def test_a_byte_order_mark_is_removed_from_a_prompt_file(tmp_path: Path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_bytes(b"\xef\xbb\xbfHello \xef\xbb\xbf")

    assert read_text(file) == "Hello \ufeff"


def test_a_text_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oxillama.cli.shared.prompt.MOST_BYTES", 2**20)

    with pytest.raises(OxillamaError, match="/dev/zero: is more than 1 MiB of text"):
        read_text(Path("/dev/zero"))


def test_an_argument_is_utf_8_in_any_locale() -> None:
    kept_by_an_ascii_locale = "é".encode().decode("ascii", "surrogateescape")

    assert argument_text(kept_by_an_ascii_locale) == argument_text("é") == "é"
    assert argument_text("a\udcffb") == "a\ufffdb"
