"""`oxillama` exports exactly the names it lists, and importing it is cheap."""

from __future__ import annotations

import subprocess
import sys

import pytest

import oxillama
import oxillama.errors


@pytest.mark.parametrize("name", oxillama.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(oxillama, name) is not None
    assert name in dir(oxillama)


def test_no_other_name_is_public() -> None:
    submodules = {name for name in sys.modules if name.startswith("oxillama.")}
    own = {n for n in vars(oxillama) if not n.startswith("_") and f"oxillama.{n}" not in submodules}
    assert own - {"annotations", "import_module", "sys", "Any", "TYPE_CHECKING"} <= set(oxillama.__all__)


def test_every_error_is_public() -> None:
    errors = {name for name, value in vars(oxillama.errors).items() if isinstance(value, type)}
    assert errors <= set(oxillama.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Nonsense"):
        oxillama.Nonsense  # noqa: B018  (looking is the test)


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = ["trio", "numpy", "tokenizers", "jinja2", "oxillama.core._core"]
    code = f"import sys, oxillama; print([m for m in {heavy!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
