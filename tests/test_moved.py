"""Moved modules can be imported by their old names, with a deprecation warning."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec

import pytest

from oxillama._moved import MOVED
from tests.support.modules import modules


@pytest.mark.parametrize("old", MOVED)
def test_the_old_name_is_the_new_module_and_warns(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, old, raising=False)

    with pytest.warns(DeprecationWarning, match=f"^{old} is now {MOVED[old]}$") as warned:
        module = import_module(old)

    assert module is import_module(MOVED[old])
    assert module.__name__ == MOVED[old]
    assert len(warned) == 1


def test_no_name_is_both_old_and_present() -> None:
    assert not set(MOVED) & set(modules())


def test_the_warning_points_at_the_import_and_comes_once_for_each_place() -> None:
    code = """
import sys, warnings
import oxillama
assert "oxillama._moved" not in sys.modules
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from oxillama.engine.types import SamplingParams
    import oxillama.engine.types
    from oxillama.engine import types
assert SamplingParams is oxillama.SamplingParams
assert types.SamplingParams is SamplingParams
assert oxillama.engine.types is oxillama.engine.api.types
assert [(w.filename, w.lineno) for w in caught] == [("<string>", 7)], [str(w) for w in caught]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_names_are_still_not_found() -> None:
    assert find_spec("oxillama.nonsense") is None
    with pytest.raises(ModuleNotFoundError, match=r"oxillama\.nonsense"):
        import_module("oxillama.nonsense")
