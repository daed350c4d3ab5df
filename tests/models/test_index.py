"""Architectures are data: a family's module is imported when a file asks for it, and not before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from oxillama.errors import ModelUnsupportedError
from oxillama.gguf import GGUFFile
from oxillama.models import architectures, describe_model
from tests.support.tiny_models import TinyModel, tiny_model

SCRIPT = """
import sys
from oxillama.gguf import GGUFFile
from oxillama.models import architectures, describe_model

def families():
    folder = "oxillama.models.families.decoders."
    return sorted(name.removeprefix(folder) for name in sys.modules if name.startswith(folder))

assert len(architectures()) > 3
print(families())
describe_model(GGUFFile(sys.argv[1]))
print(families())
"""


def test_a_family_is_imported_when_a_file_asks_for_it(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "m.gguf", "qwen2")
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['qwen']"]


def test_an_unknown_architecture_is_refused_with_the_nearest_known_ones(tmp_path: Path) -> None:
    model = TinyModel("llama")
    model.metadata["general.architecture"] = "qwen9" + "x" * 100
    with pytest.raises(ModelUnsupportedError) as refused:
        describe_model(GGUFFile(model.write(tmp_path / "m.gguf")))
    line = str(refused.value)
    assert "x" * 60 not in line
    assert f"the nearest of the {len(architectures())} that are: " in line
    nearest = line.split(": ")[-1].split(", ")
    assert len(nearest) == 3
    assert set(nearest) <= set(architectures())
